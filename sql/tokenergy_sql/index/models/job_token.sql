-- What the pages said of jobs' token counters in an hour, and right before and after it.
-- In: tokens (of the hour and the two beside it), parameters. Out: job_id, counter (a number for
-- each series of one source), run, ts_us, value, since_us.
--
-- Of the hours beside it, the readings next to it are enough, one for each start that a page named.
WITH named AS (
    SELECT
        job_key(cluster, job_id) AS job_id,
        hash(cluster, job_id, node, source_id, model, engine, kind, metric, series) AS counter,
        coalesce(run, 0) AS run,
        ts_us, value, since_us
    FROM tokens
)
SELECT job_id, counter, run, ts_us, value, since_us
FROM named, parameters
WHERE ts_us >= hour_us AND ts_us < hour_us + us_per_hour()
UNION ALL BY NAME
SELECT
    job_id, counter, since_us,
    unnest(max(struct_pack(run := run, ts_us := ts_us, value := value)), recursive := true)
FROM named, parameters
WHERE ts_us < hour_us
GROUP BY job_id, counter, since_us
UNION ALL BY NAME
SELECT
    job_id, counter, since_us,
    unnest(min(struct_pack(run := run, ts_us := ts_us, value := value)), recursive := true)
FROM named, parameters
WHERE ts_us >= hour_us + us_per_hour()
GROUP BY job_id, counter, since_us
