-- Where the metered energy went. In: ledger_hour. Out: one row an account, job and meter.
-- energy_j is NULL where nothing metered the time; its bounds say what it may have been.
-- Methods are of a whole hour, so that an hour which has both meters is shown as such.
SELECT
    account,
    job_id,
    CASE
        WHEN count(energy_nj) = 0 THEN 'none'
        WHEN method SIMILAR TO '(samples|missing|\+)*' THEN 'samples'
        WHEN contains(method, 'samples') THEN 'both'
        ELSE 'counter'
    END AS meter,
    joules(sum(energy_nj)::DOUBLE) AS energy_j,
    joules(sum(low_nj)::DOUBLE) AS low_j,
    joules(sum(high_nj)::DOUBLE) AS high_j,
    sum(device_us)::BIGINT AS device_us
FROM ledger_hour
GROUP BY account, job_id, method
ORDER BY account, job_id, method
