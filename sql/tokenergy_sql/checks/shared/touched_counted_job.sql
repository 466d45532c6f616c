-- The jobs whose tokens were counted, as far as some hours touched them.
-- In: counted_now (those whose tokens were read in these hours), jobs, token_usage (of all hours of
-- the jobs). Out: job_id, cluster, first_us, last_us (of those of other hours, NULL).
SELECT job_id, cluster, first_us, last_us
FROM counted_now
UNION ALL
SELECT DISTINCT j.job_id, coalesce(j.cluster, ''), NULL, NULL
FROM jobs AS j
SEMI JOIN token_usage AS u ON u.job_id = job_key(j.cluster, j.job_id)
