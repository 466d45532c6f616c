-- The points of all jobs, and every reading of those for which few points are not enough.
-- In: thin (points), tokens (of their nodes), whole_job (job_id), most. Out: the columns of
-- token_point.
--
-- Points were chosen around the edges that stamps meet: once moved, stamps meet others. And they
-- were chosen hour by hour: they do not tell where a process that reads below its highest is
-- lowest.
SELECT *
FROM thin
WHERE job_id NOT IN (SELECT job_id FROM whole_job)
UNION ALL BY NAME
SELECT DISTINCT
    job_key(cluster, t.job_id) AS job_id, node, source_id, model, engine, kind, metric, series,
    ts_us, value, since_us,
    coalesce(run, 0) AS run,
    coalesce(quantum, 1) AS quantum,
    false AS skipped,
    NULL::DOUBLE AS peak
FROM tokens AS t, most
WHERE
    job_key(cluster, t.job_id) IN (SELECT w.job_id FROM whole_job AS w)
    AND value BETWEEN 0 AND most
