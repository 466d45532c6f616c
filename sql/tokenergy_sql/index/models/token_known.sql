-- When a job's tokens are known: from a counter's first reading, or its known zero, to its last.
-- In: token_process, token_counter. Out: job_id, node, source_id, from_us, to_us: intervals of one
-- source that do not touch, with both ends in them.
--
-- Of an endpoint that died, the interval ends at its last reading: what it made afterwards is
-- unknown, not zero. Joint coverage (`job_hour_sums.sql`) is built on these intervals.
WITH
span AS (
    SELECT DISTINCT c.job_id, c.node, c.source_id, p.first_us AS from_us, p.last_us AS to_us
    FROM token_process AS p
    JOIN token_counter AS c USING (counter)
),
opening AS (
    SELECT
        *,
        coalesce(from_us > max(to_us) OVER (
            PARTITION BY job_id, node, source_id ORDER BY from_us, to_us
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ), true) AS opens
    FROM span
),
numbered AS (
    SELECT
        *,
        count(*) FILTER (WHERE opens) OVER (
            PARTITION BY job_id, node, source_id ORDER BY from_us, to_us
        ) AS part
    FROM opening
)
SELECT job_id, node, source_id, min(from_us) AS from_us, max(to_us) AS to_us
FROM numbered
GROUP BY job_id, node, source_id, part
