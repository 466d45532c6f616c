-- What no meter reports of a job: the width of the bounds of its missing time, and of its part of
-- what a counter bridges across one of its edges.
-- In: ledger. Out: one row per job.
WITH
marked AS (
    SELECT
        *,
        method IN ('counter_gap', 'disputed') AS bridged,
        (
            bridged IS DISTINCT FROM lag(bridged) OVER device
            OR start_us IS DISTINCT FROM lag(end_us) OVER device
        )::INT AS begins
    FROM ledger
    WINDOW device AS (PARTITION BY device_id ORDER BY start_us, end_us)
),
numbered AS (
    SELECT *, sum(begins) OVER (PARTITION BY device_id ORDER BY start_us, end_us) AS run
    FROM marked
),
run AS (
    SELECT device_id, run, count(DISTINCT coalesce(job_id, '')) > 1 AS crosses
    FROM numbered
    GROUP BY ALL
)
SELECT job_id, sum(high_nj - low_nj) AS slack_nj
FROM numbered
JOIN run USING (device_id, run)
WHERE job_id IS NOT NULL AND (method = 'missing' OR (bridged AND crosses))
GROUP BY job_id
