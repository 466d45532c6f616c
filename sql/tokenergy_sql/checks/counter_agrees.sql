-- Devices on which counter and samples disagree by more than 5 % somewhere.
-- warn, hourly
SELECT
    device_id,
    strftime(make_timestamp(start_us - start_us % 3600000000), '%Y-%m-%dT%H:00Z') AS hour,
    count(*) AS segments,
    min(k) AS smallest_k,
    max(k) AS largest_k
FROM ledger
WHERE method = 'disputed'
GROUP BY ALL
ORDER BY ALL
