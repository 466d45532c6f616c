-- No two schedulers gave the same id to two jobs.
-- warn, touched
-- In: jobs. Out: the ids that several schedulers used, where the lists name no cluster.
--
-- Such jobs are added up as one. Import their lists with a cluster each.
SELECT
    job_id,
    string_agg(DISTINCT scheduler, '+' ORDER BY scheduler) AS schedulers,
    count(*) AS records
FROM jobs
WHERE cluster IS NULL AND scheduler IS NOT NULL AND scheduler <> 'declared'
GROUP BY job_id
HAVING count(DISTINCT scheduler) > 1
ORDER BY ALL
