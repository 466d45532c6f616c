-- What some jobs used, by the spans of the ledger.
-- In: ledger; $jobs. Out: one row a job and span: job_id, start_us, end_us, nj (0 where no meter
-- covered it), low_nj, high_nj, boards (thousandths).
SELECT
    job_id,
    start_us,
    end_us,
    coalesce(sum(energy_nj), 0::HUGEINT) AS nj,
    sum(low_nj) AS low_nj,
    sum(high_nj) AS high_nj,
    -- Of shares that are no whole boards, rounded up: a limit is never missed.
    ((sum(device_us) * 1000 + (end_us - start_us) - 1) // (end_us - start_us))::BIGINT AS boards
FROM ledger
WHERE job_id IN (SELECT unnest($jobs)) AND end_us > start_us
GROUP BY job_id, start_us, end_us
ORDER BY job_id, start_us, end_us
