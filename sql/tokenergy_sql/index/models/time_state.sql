-- What is known of each job's time in an hour: its tokens, its energy, both or neither.
-- In: claim_span, token_known, ledger, ledger_hour, parameters. Out: one row a job and span of time:
-- job_id, from_us, to_us, tokens_known, energy_known; only of time in which the job claimed a device.
--
-- Tokens are known while every server of the job that has been read is being read: from the first
-- reading of a source, for as long as the job claims a device on the node of the source (any device,
-- if it claims none there). Energy is known while the ledger has it of at least one of the job's
-- devices; the bounds allow for the others.
WITH
-- Neighbouring times of one job, as changes of a count.
claimed AS (
    SELECT job_id, node, from_us, to_us FROM claim_span
),
here AS (
    SELECT k.job_id, k.node, k.source_id, k.from_us, k.to_us
    FROM token_known AS k
    CROSS JOIN parameters AS p
    WHERE
        k.from_us < p.hour_us + us_per_hour()
        AND k.job_id IN (SELECT job_id FROM claimed)
),
-- A source is lost from the end of one known time to the beginning of the next.
lost AS (
    SELECT
        job_id, node,
        greatest(to_us, p.hour_us) AS from_us,
        coalesce(
            lead(from_us) OVER (PARTITION BY job_id, node, source_id ORDER BY from_us),
            p.hour_us + us_per_hour()
        ) AS to_us
    FROM here
    CROSS JOIN parameters AS p
),
lost_claimed AS (
    SELECT l.job_id, greatest(l.from_us, c.from_us) AS from_us, least(l.to_us, c.to_us) AS to_us
    FROM lost AS l
    JOIN claimed AS c
        ON c.job_id = l.job_id AND c.from_us < l.to_us AND c.to_us > l.from_us
        AND (
            c.node IS NOT DISTINCT FROM l.node
            OR (l.job_id, l.node) NOT IN (SELECT (job_id, node) FROM claimed)
        )
    WHERE l.from_us < l.to_us
),
-- Only where a part of a job's time may be without energy are its rows of the ledger looked at.
doubtful AS (
    SELECT job_id
    FROM (
        SELECT job_id FROM ledger_hour WHERE account = 'gap'
        UNION
        SELECT job_id FROM claim_span WHERE NOT booked
    )
    WHERE job_id IN (SELECT job_id FROM here)
),
metered AS (
    SELECT DISTINCT job_id, start_us AS from_us, end_us AS to_us
    FROM ledger
    WHERE job_id IN (SELECT job_id FROM doubtful) AND energy_nj IS NOT NULL
    UNION ALL
    SELECT job_id, from_us, to_us
    FROM claimed
    WHERE job_id NOT IN (SELECT job_id FROM doubtful)
),
change AS (
    SELECT
        job_id, 'claim' AS what,
        unnest([from_us, to_us]) AS at_us, unnest([1, -1]) AS step
    FROM claimed
    UNION ALL
    SELECT
        h.job_id, 'known' AS what,
        unnest([greatest(h.from_us, p.hour_us), least(h.to_us, p.hour_us + us_per_hour())]) AS at_us,
        unnest([1, -1]) AS step
    FROM here AS h
    CROSS JOIN parameters AS p
    WHERE h.to_us > p.hour_us
    UNION ALL
    SELECT job_id, 'lost' AS what, unnest([from_us, to_us]) AS at_us, unnest([1, -1]) AS step
    FROM lost_claimed
    UNION ALL
    SELECT job_id, 'metered' AS what, unnest([from_us, to_us]) AS at_us, unnest([1, -1]) AS step
    FROM metered
),
moment AS (
    SELECT
        job_id, at_us,
        sum(step) FILTER (WHERE what = 'claim') AS claims,
        sum(step) FILTER (WHERE what = 'known') AS knowns,
        sum(step) FILTER (WHERE what = 'lost') AS losts,
        sum(step) FILTER (WHERE what = 'metered') AS metereds
    FROM change
    GROUP BY ALL
),
state AS (
    SELECT
        job_id,
        at_us AS from_us,
        lead(at_us) OVER job AS to_us,
        sum(claims) OVER job > 0 AS claimed,
        coalesce(sum(knowns) OVER job, 0) > 0 AND coalesce(sum(losts) OVER job, 0) = 0
            AS tokens_known,
        coalesce(sum(metereds) OVER job, 0) > 0 AS energy_known
    FROM moment
    WINDOW job AS (PARTITION BY job_id ORDER BY at_us)
),
-- Spans of one state that follow one another are one: most jobs have one.
turned AS (
    SELECT
        *,
        count(*) FILTER (
            WHERE turns
        ) OVER (PARTITION BY job_id ORDER BY from_us) AS part
    FROM (
        SELECT
            *,
            (tokens_known, energy_known, from_us) IS DISTINCT FROM (
                lag(tokens_known) OVER job, lag(energy_known) OVER job, lag(to_us) OVER job
            ) AS turns
        FROM state
        WHERE claimed
        WINDOW job AS (PARTITION BY job_id ORDER BY from_us)
    )
)
SELECT
    job_id,
    min(from_us) AS from_us,
    max(to_us) AS to_us,
    any_value(tokens_known) AS tokens_known,
    any_value(energy_known) AS energy_known
FROM turned
GROUP BY job_id, part
