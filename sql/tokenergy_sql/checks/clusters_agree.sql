-- The job lists have each job whose tokens were counted in the cluster that its counters name.
-- warn, touched
-- In: counted_job, jobs, allocation. Out: jobs with tokens that the lists have in other clusters
-- only, at that time and without tokens.
--
-- A job is CLUSTER/ID: with two names of its cluster, or none on one side, it is two jobs, one with
-- energy and one with tokens. Name the cluster of the job list: `import counters --cluster`,
-- `[[tokens]]`, or `cluster` in collect.toml. A job that no list has is none of these; nor is one
-- whose id another cluster gave at another time, or to a job with tokens of its own.
WITH
listed AS (
    SELECT DISTINCT job_id, coalesce(cluster, '') AS cluster FROM jobs
),
unlisted AS (
    SELECT * FROM counted_job ANTI JOIN listed USING (job_id, cluster)
),
without_tokens AS (
    SELECT * FROM listed ANTI JOIN counted_job USING (job_id, cluster)
)
SELECT
    job_key(c.cluster, c.job_id) AS tokens_of,
    string_agg(DISTINCT a.job_id, ', ' ORDER BY a.job_id) AS listed_as
FROM unlisted AS c
JOIN without_tokens AS l ON l.job_id = c.job_id
JOIN allocation AS a
    ON a.job_id = job_key(l.cluster, l.job_id)
    AND a.start_us <= c.last_us AND (a.end_us IS NULL OR a.end_us > c.first_us)
GROUP BY ALL
ORDER BY ALL
