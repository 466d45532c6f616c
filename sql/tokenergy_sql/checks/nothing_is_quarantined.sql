-- Raw files that broke the contract and were left out: what they held is a hole in the record.
-- warn, hourly
SELECT
    "table",
    strftime(make_timestamp(hour_us), '%Y-%m-%dT%H:00Z') AS hour,
    file,
    reason
FROM quarantined
ORDER BY hour_us, file
