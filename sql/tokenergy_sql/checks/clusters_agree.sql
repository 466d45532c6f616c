-- The job lists have each job whose tokens were counted in the cluster that its counters name.
-- warn, whole
-- In: tokens, jobs. Out: jobs with tokens that the lists have in other clusters only.
--
-- A job is CLUSTER/ID: with two names of its cluster, or none on one side, it is two jobs, one with
-- energy and one with tokens. Name the cluster of the job list: `import counters --cluster`,
-- `[[tokens]]`, or `cluster` in collect.toml. A job that no list has is none of these.
WITH
counted AS (
    SELECT DISTINCT job_id, coalesce(cluster, '') AS cluster FROM tokens
),
listed AS (
    SELECT DISTINCT job_id, coalesce(cluster, '') AS cluster FROM jobs
)
SELECT
    job_key(c.cluster, c.job_id) AS tokens_of,
    string_agg(job_key(l.cluster, l.job_id), ', ' ORDER BY l.cluster) AS listed_as
FROM counted AS c
ANTI JOIN listed AS same ON same.job_id = c.job_id AND same.cluster = c.cluster
JOIN listed AS l ON l.job_id = c.job_id
GROUP BY ALL
ORDER BY ALL
