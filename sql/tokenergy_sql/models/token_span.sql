-- From when to when each job held devices: the edges between which its tokens count.
-- In: allocation. Out: job_id, job_start_us, job_end_us (NULL = running).
SELECT
    job_id,
    min(start_us) AS job_start_us,
    CASE WHEN bool_or(end_us IS NULL) THEN NULL ELSE max(end_us) END AS job_end_us
FROM allocation
GROUP BY job_id
