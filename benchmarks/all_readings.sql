-- Points for token usage, without leaving any reading out: the slow side of benchmarks/tokens.py.
-- In: tokens. Out: the columns of token_point, all hours.
--
-- From here on the same models derive the usage, so it shows that a few points an hour lose
-- nothing. It cannot show that the rules are right: the tests have an oracle in plain Python for
-- that.
SELECT DISTINCT
    job_key(cluster, job_id) AS job_id, node, source_id, model, engine, kind, metric, series,
    ts_us, value, since_us,
    coalesce(run, 0) AS run,
    coalesce(quantum, 1) AS quantum,
    false AS skipped,
    NULL::DOUBLE AS peak
FROM tokens
WHERE value BETWEEN 0 AND 9007199254740992
