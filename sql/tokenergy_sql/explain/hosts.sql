-- The nodes that the job used in each hour: what is declared and measured of them.
-- In: ledger_hour, node_hour. Out: one row per hour and node.
SELECT
    l.hour_us,
    l.node,
    sum(l.device_us)::BIGINT AS device_us,
    any_value(n.capacity_us) AS capacity_us,
    any_value(n.watched_us) AS watched_us,
    any_value(n.host_mw) AS host_mw,
    any_value(n.facility_method) AS facility_method,
    any_value(n.pue_place) AS pue_place,
    any_value(n.pue_covered_us) AS pue_covered_us,
    any_value(n.pue_ppb) AS pue_ppb,
    any_value(n.pue_low_ppb) AS pue_low_ppb,
    any_value(n.pue_high_ppb) AS pue_high_ppb
FROM ledger_hour AS l
LEFT JOIN node_hour AS n USING (hour_us, node)
WHERE l.job_id = getvariable('job_id')
GROUP BY ALL ORDER BY l.hour_us, l.node
