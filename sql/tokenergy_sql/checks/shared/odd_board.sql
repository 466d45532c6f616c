-- The boards of which sums leave something open: their segments are looked at one by one.
-- In: board_span, ledger. Out: device_id.
--
-- Their segments leave a hole or overlap; or they were on several nodes in an hour; or the time
-- that the ledger books, times a hash of its slot, is not that of the segments.
SELECT device_id
FROM board_span
GROUP BY device_id, hour_us
HAVING NOT bool_and(chained) OR count(*) > 1
UNION
SELECT device_id
FROM (SELECT device_id, node, hour_us, mark FROM board_span)
FULL JOIN (
    SELECT
        device_id, node,
        hour_of(start_us) AS hour_us,
        sum(device_us * (hash(start_us // (30 * us_per_second())) >> 36)::BIGINT) AS booked
    FROM ledger
    GROUP BY ALL
) USING (device_id, node, hour_us)
WHERE mark IS DISTINCT FROM booked
