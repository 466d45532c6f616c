-- How well each node was watched. In: ledger_hour, $most. Out: at most $most nodes, the least
-- covered first; `total` is the number of all.
SELECT
    node,
    count(DISTINCT device_id) AS devices,
    sum(device_us)::BIGINT AS device_us,
    sum(covered_us)::DOUBLE / nullif(sum(device_us), 0)::DOUBLE AS coverage,
    coalesce(sum(device_us) FILTER (WHERE account = 'gap'), 0)::BIGINT AS gap_us,
    max(max_gap_us) AS max_gap_us,
    joules(sum(energy_nj)::DOUBLE) AS energy_j,
    count(*) OVER () AS total
FROM ledger_hour
GROUP BY node
ORDER BY coverage, node
LIMIT $most
