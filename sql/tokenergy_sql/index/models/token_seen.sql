-- The points of each counter, and the start of the process that the page named with each.
-- In: token_point, token_counter. Out: counter, run, ts_us, value, quantum, skipped, peak,
-- since_us.
SELECT c.counter, p.run, p.ts_us, p.value, p.quantum, p.skipped, p.peak, p.since_us
FROM token_point AS p
JOIN token_counter AS c
    ON c.job_id = p.job_id AND c.node = p.node AND c.source_id = p.source_id
    AND c.engine = p.engine AND c.kind = p.kind
    AND c.model IS NOT DISTINCT FROM p.model
    AND c.metric IS NOT DISTINCT FROM p.metric
    AND c.series IS NOT DISTINCT FROM p.series
