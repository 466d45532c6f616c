-- Jobs with settled days that are not settled any more: a counter is new, or did more than grow.
-- In: settled_point, token_counter, token_start, token_odd. Out: job_id.
SELECT DISTINCT c.job_id
FROM token_counter AS c
SEMI JOIN settled_point AS j USING (job_id)
JOIN token_start AS t USING (counter)
LEFT JOIN (SELECT DISTINCT counter FROM token_odd) AS o USING (counter)
LEFT JOIN (
    SELECT DISTINCT job_id, node, source_id, model, engine, kind, metric, series
    FROM settled_point
) AS s
    ON s.job_id = c.job_id AND s.node = c.node AND s.source_id = c.source_id
    AND s.engine = c.engine AND s.kind = c.kind
    AND s.model IS NOT DISTINCT FROM c.model
    AND s.metric IS NOT DISTINCT FROM c.metric
    AND s.series IS NOT DISTINCT FROM c.series
WHERE s.job_id IS NULL OR t.several OR o.counter IS NOT NULL
