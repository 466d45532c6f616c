-- The nodes that the job used in each hour: what was declared of them, and its part of it.
-- In: ledger_hour, node_hour. Out: one row per hour and node.
SELECT
    l.hour_us,
    l.node,
    sum(l.device_us)::BIGINT AS device_us,
    any_value(n.capacity_us) AS capacity_us,
    any_value(n.watched_us) AS watched_us,
    any_value(n.host_mw) AS host_mw
FROM ledger_hour AS l
LEFT JOIN node_hour AS n USING (hour_us, node)
WHERE l.job_id = getvariable('job_id')
GROUP BY ALL ORDER BY l.hour_us, l.node
