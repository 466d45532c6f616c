-- The token counters of the job: one series each.
-- In: tokens. Out: one row per counter.
SELECT
    source_id, engine, kind, node, metric, series, count(*) AS readings,
    min(ts_us) AS first_us, arg_min(value, ts_us) AS first_value,
    max(ts_us) AS last_us, arg_max(value, ts_us) AS last_value,
    count(DISTINCT epoch) AS epochs, max(since_us) AS since_us
FROM tokens WHERE job_key(cluster, job_id) = getvariable('job_id')
GROUP BY ALL ORDER BY kind, source_id, engine, node, metric, series
