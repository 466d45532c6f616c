-- The jobs that have, or should have, a part in the hours that are checked.
-- In: checked_hour, ledger_hour, job_hour_index, job_efficiency, token_usage (of these hours),
-- tokens (around them), allocation. Out: job_id, booked (it is in the books of these hours).
SELECT job_id, bool_or(booked) AS booked
FROM (
    SELECT job_id, true AS booked FROM ledger_hour
    UNION ALL
    SELECT job_id, true FROM job_hour_index
    UNION ALL
    SELECT job_id, true FROM job_efficiency
    UNION ALL
    SELECT job_id, true FROM token_usage
    UNION ALL
    SELECT job_key(cluster, job_id), false
    FROM tokens
    WHERE hour_of(ts_us) IN (SELECT hour_us FROM checked_hour)
    UNION ALL
    SELECT a.job_id, false
    FROM allocation AS a
    JOIN checked_hour AS h
        ON a.start_us < h.hour_us + us_per_hour() AND (a.end_us IS NULL OR a.end_us > h.hour_us)
)
WHERE job_id IS NOT NULL
GROUP BY job_id
