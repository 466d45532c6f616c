-- No raw file breaks the contract; those that do are left out, and their readings are missing.
-- warn, hourly
-- In: quarantined. Out: the files that were left out.
SELECT
    "table",
    strftime(make_timestamp(hour_us), '%Y-%m-%dT%H:00Z') AS hour,
    file,
    reason
FROM quarantined
ORDER BY hour_us, file
