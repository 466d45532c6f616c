-- The readings that are left out as too low or too high: they widen the upper bound.
-- In: token_judged, token_step. Out: as `token_step.sql`.
SELECT
    j.counter, j.process, j.run, j.ts_us, j.value, j.quantum,
    0 AS tokens,
    greatest(j.value, j.before) AS extra,
    0 AS under,
    true AS anomaly,
    false AS kept,
    p.peak,
    false AS plain,
    NULL::BIGINT AS first
FROM token_judged AS j
JOIN (SELECT DISTINCT counter, peak FROM token_step) AS p USING (counter)
WHERE j.low OR j.high
