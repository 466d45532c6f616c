-- What the boards of each node drew in an hour, and for how long the node was watched.
-- In: ledger_hour, node_watched. Out: one row a node: node, watched_us, energy_nj, low_nj, high_nj,
-- device_us, covered_us.
SELECT
    l.node,
    any_value(w.watched_us)::BIGINT AS watched_us,
    coalesce(sum(l.energy_nj), 0)::HUGEINT AS energy_nj,
    sum(l.low_nj)::HUGEINT AS low_nj,
    sum(l.high_nj)::HUGEINT AS high_nj,
    sum(l.device_us)::BIGINT AS device_us,
    sum(l.covered_us)::BIGINT AS covered_us
FROM ledger_hour AS l
JOIN node_watched AS w USING (node)
GROUP BY l.node
ORDER BY l.node
