-- All readings of token counters in an hour and ten minutes around it, as `token_point.sql` has
-- them.
-- In: tokens (of the hour and the two beside it), parameters. Out: the columns of token_point.
--
-- A counter that is silent for ten minutes around the hour's edge counts as absent.
SELECT DISTINCT
    job_key(cluster, job_id) AS job_id, node, source_id, model, engine, kind, metric, series,
    ts_us, value, since_us,
    coalesce(run, 0) AS run,
    coalesce(quantum, 1) AS quantum,
    false AS skipped,
    NULL::DOUBLE AS peak
FROM tokens
WHERE
    ts_us BETWEEN (SELECT hour_us - 600 * us_per_second() FROM parameters)
    AND (SELECT hour_us + us_per_hour() + 600 * us_per_second() FROM parameters)
    -- No counter gets this far (2^53): such a value is damage, not a count.
    AND value BETWEEN 0 AND 9007199254740992
