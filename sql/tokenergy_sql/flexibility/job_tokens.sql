-- Tokens of some jobs by hour, where they are known.
-- In: job_hour_index; $jobs, $since, $until. Out: one row a job and hour: job_id, hour_us, tokens
-- (NULL: none counted, or of both workloads), coverage.
SELECT
    job_id,
    hour_us,
    CASE
        WHEN coalesce(n_trained, 0) = 0 THEN n_generated
        WHEN coalesce(n_generated, 0) = 0 THEN n_trained
    END AS tokens,
    token_us / nullif(device_us, 0) AS coverage
FROM job_hour_index
WHERE
    job_id IN (SELECT unnest($jobs))
    AND hour_us >= $since
    AND hour_us < $until
ORDER BY job_id, hour_us
