-- All readings of token counters in an hour and ten minutes around it, as `token_point.sql` has
-- them.
-- In: token_page, token_name, parameters. Out: the columns of token_point.
--
-- A counter that is silent for ten minutes around the hour's edge counts as absent.
SELECT DISTINCT
    n.job_id, n.node, n.source_id, n.model, n.engine, n.kind, n.metric, n.series,
    p.ts_us, p.value, p.since_us, p.run, p.quantum,
    false AS skipped,
    NULL::DOUBLE AS peak
FROM token_page AS p
JOIN token_name AS n USING (counter)
WHERE
    p.ts_us BETWEEN (SELECT hour_us - 600 * us_per_second() FROM parameters)
    AND (SELECT hour_us + us_per_hour() + 600 * us_per_second() FROM parameters)
    -- No counter gets this far (2^53): such a value is damage, not a count.
    AND p.value BETWEEN 0 AND 9007199254740992
