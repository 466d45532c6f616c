-- What jobs claimed outside the hours that were derived: nothing at all was recorded in that time.
-- In: allocation, booked_hour (all derived hours), ledger_hour (of the last one), device, site,
-- site_node, parameters. Out: one row a job: job_id, beyond_us, beyond_high_nj, beyond_host_nj (the
-- most that hosts can have drawn for it then; NULL: the power of one of them is not declared).
--
-- Shares as in claim_span.sql. A running job claims its devices up to the end of the record. No
-- claim is believed for more than 31 days before the first and after the last of all rows, such as
-- an end in the year 9999.
WITH
derived AS (
    SELECT hour_us, (row_number() OVER (ORDER BY hour_us) - 1) * us_per_hour() AS before_us
    FROM booked_hour
),
record AS (
    SELECT
        min(hour_us) - 31 * us_per_day() AS first_us,
        max(hour_us) + us_per_hour() + 31 * us_per_day() AS last_us,
        coalesce((SELECT max(as_of_us) FROM ledger_hour), max(hour_us) + us_per_hour()) AS as_of_us
    FROM (
        SELECT hour_us FROM derived
        UNION ALL
        SELECT hour_of(ts_us) AS hour_us FROM device
    )
),
-- Derived hours without one missing between them.
stretch AS (
    SELECT min(hour_us) AS from_us, max(hour_us) + us_per_hour() AS to_us
    FROM derived
    GROUP BY hour_us - before_us
),
every AS (
    SELECT
        a.device_id, a.node, a.job_id, a.mig_id, a.share_ppm,
        greatest(a.start_us, r.first_us) AS from_us,
        least(coalesce(a.end_us, r.as_of_us), r.last_us) AS to_us
    FROM allocation AS a
    CROSS JOIN record AS r
    WHERE a.end_us IS NULL OR a.end_us > a.start_us
),
-- Of most claims all the time is in derived hours: it is enough to look at the others, with those
-- of the same job, and those of the same device that divide their time.
open AS (
    SELECT e.*
    FROM every AS e
    ANTI JOIN stretch AS s ON s.from_us <= e.from_us AND s.to_us >= e.to_us
),
claimed AS (
    SELECT e.* FROM every AS e SEMI JOIN open USING (job_id)
    UNION ALL
    SELECT e.*
    FROM (SELECT * FROM every ANTI JOIN open USING (job_id)) AS e
    SEMI JOIN open AS o
        ON o.device_id = e.device_id AND o.from_us <= e.to_us AND o.to_us >= e.from_us
),
cut AS (
    SELECT DISTINCT device_id, unnest([from_us, to_us]) AS at_us FROM claimed WHERE from_us < to_us
),
span AS (
    SELECT
        device_id,
        at_us AS from_us,
        lead(at_us) OVER (PARTITION BY device_id ORDER BY at_us) AS to_us
    FROM cut
),
-- How much of the time up to an instant is in derived hours. Of most spans all of it is: they are
-- left out before claims are compared.
passed AS (
    SELECT
        s.*,
        coalesce(a.before_us + least(s.from_us - a.hour_us, us_per_hour()), 0) AS from_passed_us,
        coalesce(b.before_us + least(s.to_us - b.hour_us, us_per_hour()), 0) AS to_passed_us,
        s.to_us - s.from_us - (to_passed_us - from_passed_us) AS left_us
    FROM span AS s
    ASOF LEFT JOIN derived AS a ON a.hour_us <= s.from_us
    ASOF LEFT JOIN derived AS b ON b.hour_us <= s.to_us
    WHERE s.to_us IS NOT NULL AND left_us > 0
),
held AS (
    SELECT
        s.device_id, s.from_us, s.left_us, c.job_id, c.mig_id, max(c.share_ppm) AS share_ppm
    FROM passed AS s
    JOIN claimed AS c
        ON c.device_id = s.device_id AND c.from_us <= s.from_us AND c.to_us >= s.to_us
    GROUP BY ALL
),
holder AS (
    SELECT
        device_id, from_us, left_us, job_id,
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
    SELECT device_id, max(limit_mw) AS limit_mw FROM device GROUP BY device_id
),
beyond AS (
    SELECT
        p.job_id,
        p.left_us * p.share_ppm * whole_ppm() // p.whole_ppm AS claim,
        coalesce(
            d.limit_mw, (SELECT max(limit_mw) FROM limit_of),
            (SELECT limit_unknown_mw FROM parameters)
        )::HUGEINT AS limit_mw
    FROM whole AS p
    LEFT JOIN limit_of AS d USING (device_id)
),
-- Time in which a job claimed any board of a node, once.
on_node AS (
    SELECT
        job_id,
        node,
        greatest(from_us, coalesce(max(to_us) OVER (
            PARTITION BY job_id, node ORDER BY from_us, to_us
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ), from_us)) AS since_us,
        to_us
    FROM claimed
    WHERE from_us < to_us
),
beside AS (
    SELECT
        n.job_id,
        n.node,
        n.to_us - n.since_us
        - coalesce(b.before_us + least(n.to_us - b.hour_us, us_per_hour()), 0)
        + coalesce(a.before_us + least(n.since_us - a.hour_us, us_per_hour()), 0) AS beside_us
    FROM on_node AS n
    ASOF LEFT JOIN derived AS a ON a.hour_us <= n.since_us
    ASOF LEFT JOIN derived AS b ON b.hour_us <= n.to_us
    WHERE n.since_us < n.to_us
),
hosted AS (
    SELECT
        s.job_id,
        CASE
            WHEN count(coalesce(n.host_mw, site.host_mw)) = count(*)
                THEN sum(coalesce(n.host_mw, site.host_mw)::HUGEINT * s.beside_us)::HUGEINT
        END AS beyond_host_nj
    FROM beside AS s
    CROSS JOIN site
    LEFT JOIN site_node AS n USING (node)
    WHERE s.beside_us > 0
    GROUP BY s.job_id
)
SELECT
    job_id,
    ((sum(claim) + whole_ppm() // 2) // whole_ppm())::BIGINT AS beyond_us,
    ((sum(claim * limit_mw) + whole_ppm() - 1) // whole_ppm())::HUGEINT AS beyond_high_nj,
    any_value(beyond_host_nj) AS beyond_host_nj
FROM beyond
LEFT JOIN hosted USING (job_id)
WHERE claim > 0
GROUP BY job_id
