-- Every segment's time is booked exactly once, and no other time is.
-- fail, hourly
-- In: segment, ledger. Out: the segments that are not, and ledger rows without a segment.
WITH booked AS (
    SELECT device_id, start_us, end_us, sum(device_us) AS booked_us FROM ledger GROUP BY ALL
)
SELECT
    device_id,
    strftime(make_timestamp(start_us), '%Y-%m-%dT%H:%M:%S.%fZ') AS "start",
    s.end_us - start_us AS length_us,
    b.booked_us
FROM segment AS s
FULL JOIN booked AS b USING (device_id, start_us)
WHERE b.booked_us IS DISTINCT FROM s.end_us - start_us
ORDER BY ALL
