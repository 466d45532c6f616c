-- On every device, energy counter and power samples agree within 5 %.
-- warn, hourly
-- In: ledger. Out: the devices and hours in which they do not.
SELECT
    device_id,
    strftime(make_timestamp(hour_of(start_us)), '%Y-%m-%dT%H:00Z') AS hour,
    sum(coalesce(segments, 1))::BIGINT AS segments,
    min(k) AS smallest_k,
    max(k) AS largest_k
FROM ledger
WHERE method = 'disputed'
GROUP BY ALL
ORDER BY ALL
