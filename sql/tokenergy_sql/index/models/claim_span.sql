-- Which job claimed which device when in an hour, and whether anything was recorded of that time.
-- In: allocation, seen, claim, sensor_class, parameters. Out: one row a job, device and span:
-- job_id, node, device_id, from_us, to_us, claim (device time times the share, in us x ppm), booked
-- (whether the span has segments and the ledger books them to the job), limit_mw.
--
-- What a job claimed follows from the job list alone: a device that no collector ever saw is
-- claimed like any other. A running job claims a device up to the last reading of its node, or of
-- any node where its own has been silent for longer than the largest gap between readings (10
-- minutes). Shares as in claim.sql: a job that was recorded twice holds once, MIG instances of a
-- board add up to the whole of it at most, and shares of more than the whole are scaled to it.
WITH
node_until AS (
    SELECT node, max(to_us) AS until_us FROM seen GROUP BY node
),
lake_until AS (
    SELECT coalesce(max(s.to_us), any_value(p.hour_us) + us_per_hour()) AS until_us
    FROM parameters AS p
    LEFT JOIN seen AS s ON true
),
claimed AS (
    SELECT
        a.device_id, a.node, a.job_id, a.mig_id, a.share_ppm,
        greatest(a.start_us, p.hour_us) AS from_us,
        least(
            p.hour_us + us_per_hour(),
            coalesce(
                a.end_us,
                CASE
                    WHEN n.until_us >= l.until_us - 600 * us_per_second() THEN n.until_us
                    ELSE l.until_us
                END
            )
        ) AS to_us
    FROM allocation AS a
    CROSS JOIN parameters AS p
    CROSS JOIN lake_until AS l
    LEFT JOIN node_until AS n USING (node)
    WHERE
        a.start_us < p.hour_us + us_per_hour()
        AND (a.end_us IS NULL OR (a.end_us > p.hour_us AND a.end_us > a.start_us))
),
-- Jobs that were listed after the last aggregation may begin inside a segment: it is not theirs.
booked AS (
    SELECT s.device_id, s.from_us, s.to_us, s.span, c.job_id
    FROM seen AS s
    JOIN claim AS c USING (span)
    WHERE c.job_id IS NOT NULL
),
cut AS (
    SELECT device_id, unnest([from_us, to_us]) AS at_us FROM claimed WHERE from_us < to_us
    UNION
    SELECT device_id, unnest([from_us, to_us]) AS at_us FROM booked
),
span AS (
    SELECT
        device_id,
        at_us AS from_us,
        lead(at_us) OVER (PARTITION BY device_id ORDER BY at_us) AS to_us
    FROM cut
),
held AS (
    SELECT
        s.device_id, s.from_us, s.to_us, c.job_id, c.mig_id,
        min(c.node) AS node,
        max(c.share_ppm) AS share_ppm
    FROM span AS s
    JOIN claimed AS c
        ON c.device_id = s.device_id AND c.from_us <= s.from_us AND c.to_us >= s.to_us
    GROUP BY ALL
),
holder AS (
    SELECT
        device_id, from_us, to_us, job_id,
        min(node) AS node,
        least(whole_ppm(), sum(share_ppm))::HUGEINT AS share_ppm
    FROM held
    GROUP BY ALL
),
whole AS (
    SELECT
        *,
        greatest(
            whole_ppm(), sum(share_ppm) OVER (PARTITION BY device_id, from_us)
        )::HUGEINT AS whole_ppm
    FROM holder
),
limit_of AS (
    SELECT device_id, max(limit_mw) AS limit_mw FROM sensor_class GROUP BY device_id
)
SELECT
    w.job_id, w.node, w.device_id, w.from_us, w.to_us,
    (w.to_us - w.from_us) * w.share_ppm * whole_ppm() // w.whole_ppm AS claim,
    b.span IS NOT NULL AS booked,
    -- A board whose limit nobody knows may be as large as the largest known one.
    coalesce(
        d.limit_mw, (SELECT max(limit_mw) FROM limit_of),
        (SELECT limit_unknown_mw FROM parameters)
    )::BIGINT AS limit_mw
FROM whole AS w
LEFT JOIN booked AS b
    ON b.device_id = w.device_id AND b.job_id = w.job_id
    AND b.from_us <= w.from_us AND b.to_us >= w.to_us
LEFT JOIN limit_of AS d ON d.device_id = w.device_id
