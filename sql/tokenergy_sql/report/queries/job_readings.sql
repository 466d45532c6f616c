-- Readings of the token counters of those jobs whose tokens are drawn in steps below an hour.
-- In: token_around, job_step. Out: the columns of token_point (see `index/models/token_near.sql`).
SELECT DISTINCT
    s.job_id, t.node, t.source_id, t.model, t.engine, t.kind, t.metric, t.series,
    t.ts_us, t.value, t.since_us,
    coalesce(t.run, 0) AS run,
    coalesce(t.quantum, 1) AS quantum,
    false AS skipped,
    NULL::DOUBLE AS peak
FROM token_around AS t
JOIN job_step AS s ON s.job_id = job_key(t.cluster, t.job_id)
WHERE s.step_us < us_per_hour() AND t.value BETWEEN 0 AND 9007199254740992
