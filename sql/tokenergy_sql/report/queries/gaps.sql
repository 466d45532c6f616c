-- Time whose energy is not known. In: ledger_hour, $most. Out: at most $most rows, one a device and
-- job, the longest first; `total` is the number of all.
SELECT
    node,
    device_id,
    job_id,
    min(hour_us) AS first_us,
    max(hour_us) AS last_us,
    sum(device_us)::BIGINT AS device_us,
    joules(sum(low_nj)::DOUBLE) AS low_j,
    joules(sum(high_nj)::DOUBLE) AS high_j,
    count(*) OVER () AS total
FROM ledger_hour
WHERE account = 'gap'
GROUP BY node, device_id, job_id
ORDER BY device_us DESC, node, device_id, job_id
LIMIT $most
