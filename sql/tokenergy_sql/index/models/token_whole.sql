-- The points of all counters, and every reading of those nodes whose stamps have to be moved.
-- In: thin (points), tokens (of these nodes, all hours), moved_node (node), most. Out: the columns
-- of token_point.
--
-- Points were chosen around the edges that stamps meet. Once moved, stamps meet others.
SELECT *
FROM thin
WHERE node NOT IN (SELECT node FROM moved_node)
UNION ALL BY NAME
SELECT DISTINCT
    job_key(cluster, job_id) AS job_id, node, source_id, model, engine, kind, metric, series,
    ts_us, value, since_us,
    coalesce(run, 0) AS run,
    coalesce(quantum, 1) AS quantum,
    false AS skipped,
    NULL::DOUBLE AS peak
FROM tokens, most
WHERE node IN (SELECT node FROM moved_node) AND value BETWEEN 0 AND most
