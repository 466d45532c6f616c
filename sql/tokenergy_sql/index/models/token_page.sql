-- What the pages said of token counters in an hour and around it: its readings are read once.
-- In: tokens (of the hour and the two beside it), parameters. Out: the names of a counter as tokens
-- has them, counter (a number for each series of one source), run, ts_us, value, since_us, quantum,
-- of_role (whether the server's role was declared).
--
-- Of the time more than ten minutes away from the hour, the readings next to it are enough, one for
-- each start that a page named.
WITH named AS MATERIALIZED (
    SELECT
        job_key(cluster, job_id) AS job_id, node, source_id, model, engine, kind, metric, series,
        hash(cluster, job_id, node, source_id, model, engine, kind, metric, series) AS counter,
        coalesce(run, 0) AS run,
        ts_us, value, since_us,
        coalesce(quantum, 1) AS quantum,
        role IS NOT NULL AS of_role,
        hour_us - 600 * us_per_second() AS near_us,
        hour_us + us_per_hour() + 600 * us_per_second() AS far_us
    FROM tokens, parameters
)
SELECT * EXCLUDE (near_us, far_us)
FROM named
WHERE ts_us BETWEEN near_us AND far_us
UNION ALL BY NAME
SELECT
    job_id, node, source_id, model, engine, kind, metric, series, counter, since_us,
    unnest(
        max(struct_pack(
            run := run, ts_us := ts_us, value := value, quantum := quantum, of_role := of_role
        )),
        recursive := true
    )
FROM named
WHERE ts_us < near_us
GROUP BY job_id, node, source_id, model, engine, kind, metric, series, counter, since_us
UNION ALL BY NAME
SELECT
    job_id, node, source_id, model, engine, kind, metric, series, counter, since_us,
    unnest(
        min(struct_pack(
            run := run, ts_us := ts_us, value := value, quantum := quantum, of_role := of_role
        )),
        recursive := true
    )
FROM named
WHERE ts_us > far_us
GROUP BY job_id, node, source_id, model, engine, kind, metric, series, counter, since_us
