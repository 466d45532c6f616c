-- A digest of what a job's row depends on besides its hours, and when the job began.
-- In: allocation, job_usage, token_job, claim_beyond. Out: one row a job: job_id, digest, file_us
-- (the hour in which it began).
--
-- Of rows, not of what follows from them: to work out the facts of all jobs takes longer.
WITH
part AS (
    SELECT job_id, hash('held', a) AS part, start_us AS held_us, NULL AS used_us, true AS is_job
    FROM allocation AS a
    UNION ALL
    SELECT job_id, hash('used', u), NULL, first_hour_us, true
    FROM job_usage AS u
    UNION ALL
    SELECT job_id, hash('counted', t), NULL, NULL, false
    FROM token_job AS t
    UNION ALL
    SELECT job_id, hash('beyond', b), NULL, NULL, false
    FROM claim_beyond AS b
)
SELECT
    job_id,
    sum(part)::VARCHAR AS digest,
    hour_of(coalesce(min(held_us), min(used_us)))::BIGINT AS file_us
FROM part
GROUP BY job_id
HAVING bool_or(is_job)
