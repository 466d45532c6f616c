-- The job's ledger, added up by device, account and method.
-- In: ledger. Out: one row per device, account, method and attribution.
SELECT
    node, device_id, account, method, attribution,
    count(*) AS rows,
    sum(energy_nj) AS energy_nj,
    sum(low_nj) AS low_nj,
    sum(high_nj) AS high_nj,
    sum(device_us) AS device_us,
    sum(covered_us) AS covered_us,
    min(k) AS k_min,
    max(k) AS k_max
FROM ledger WHERE job_id = getvariable('job_id')
GROUP BY ALL ORDER BY node, device_id, account, method, attribution
