-- The nodes that the job used in each hour, and how many boards each of them has.
-- In: ledger_hour, device_now. Out: one row per hour and node.
SELECT l.hour_us, l.node, sum(l.device_us) AS device_us, any_value(n.devices) AS devices
FROM ledger_hour AS l
LEFT JOIN (
    SELECT node, count(DISTINCT device_id) AS devices
    FROM device_now WHERE mig_parent IS NULL GROUP BY node
) AS n USING (node)
WHERE l.job_id = getvariable('job_id')
GROUP BY ALL ORDER BY l.hour_us, l.node
