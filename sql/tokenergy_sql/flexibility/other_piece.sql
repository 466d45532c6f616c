-- What a site used besides some jobs, by the spans of the ledger.
-- In: ledger; $jobs, $since, $until. Out: one row a span: start_us, end_us, nj, boards that jobs
-- held (thousandths).
SELECT
    start_us,
    end_us,
    coalesce(sum(energy_nj), 0::HUGEINT) AS nj,
    coalesce(
        (
            sum(device_us) FILTER (WHERE job_id IS NOT NULL) * 1000 + (end_us - start_us) - 1
        ) // (end_us - start_us),
        0
    )::BIGINT AS boards
FROM ledger
WHERE
    start_us < $until
    AND end_us > $since
    AND end_us > start_us
    AND (job_id IS NULL OR job_id NOT IN (SELECT unnest($jobs)))
GROUP BY start_us, end_us
ORDER BY start_us, end_us
