-- No readings came after the earlier ones of their node and hour were removed.
-- warn, hourly
-- In: removed_hour. Out: the nodes and hours where some did, and their files.
--
-- Readings in quarantine count as removed. To aggregate such an hour again would lose what was
-- booked of them, so the new ones are not booked. Bring the earlier power files back and run
-- `tokenergy index`; or book the new ones alone with `tokenergy aggregate --hour --node`.
SELECT
    node,
    strftime(make_timestamp(hour_us), '%Y-%m-%dT%H:00Z') AS hour,
    waiting AS files
FROM removed_hour
WHERE waiting <> ''
ORDER BY ALL
