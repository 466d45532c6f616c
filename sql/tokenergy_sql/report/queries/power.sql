-- Energy over time. In: ledger, ledger_hour (where a bucket is an hour or more), ledger_by_segment
-- (where it would cut runs of 30 s), $bucket_us, $named (the jobs that have a series of their own).
-- Out: one row a bucket and series; account `job` with a NULL job_id is all other jobs together.
-- A row counts in the bucket in which it starts; buckets are multiples of the usual windows.
SELECT
    at_us - at_us % $bucket_us AS bucket_us,
    CASE WHEN account IN ('active', 'resident_idle') THEN 'job' ELSE account END AS account,
    CASE WHEN list_contains($named, job_id) AND account <> 'gap' THEN job_id END AS job_id,
    joules(sum(energy_nj)::DOUBLE) AS energy_j,
    sum(device_us)::BIGINT AS device_us
FROM (
    SELECT start_us AS at_us, account, job_id, energy_nj, device_us
    FROM ledger
    WHERE $bucket_us < us_per_hour() AND $bucket_us % (30 * us_per_second()) = 0
    UNION ALL
    SELECT start_us, account, job_id, energy_nj, device_us
    FROM ledger_by_segment()
    WHERE $bucket_us % (30 * us_per_second()) <> 0
    UNION ALL
    SELECT hour_us, account, job_id, energy_nj, device_us
    FROM ledger_hour
    WHERE $bucket_us >= us_per_hour()
)
GROUP BY ALL
ORDER BY ALL
