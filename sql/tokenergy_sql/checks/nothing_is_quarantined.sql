-- No file is in quarantine: what is in one that broke the contract or was damaged, is missing.
-- warn, hourly
-- In: quarantined. Out: the files that were left out.
SELECT
    "table",
    strftime(make_timestamp(hour_us), '%Y-%m-%dT%H:00Z') AS hour,
    file,
    reason
FROM quarantined
ORDER BY hour_us, file
