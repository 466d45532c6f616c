-- Where the metered energy went. In: ledger. Out: one row an account and job.
-- energy_j is NULL for the account `gap`; its bounds say what it may have been.
SELECT
    account,
    job_id,
    sum(energy_nj)::DOUBLE / 1e9 AS energy_j,
    sum(low_nj)::DOUBLE / 1e9 AS low_j,
    sum(high_nj)::DOUBLE / 1e9 AS high_j,
    sum(device_us)::BIGINT AS device_us
FROM ledger
GROUP BY account, job_id
ORDER BY account, job_id
