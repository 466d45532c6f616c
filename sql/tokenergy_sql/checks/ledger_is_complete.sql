-- A device's segments leave no time out, and every segment's time is booked exactly once.
-- fail, hourly
-- In: segment, ledger. Out: the segments that are not, holes between segments, and ledger rows
-- without a segment.
--
-- Between its last reading on one node and its first on the next, a device is on neither: no hole.
-- Nor is time before its first or after its last reading, unless a job held it.
WITH
booked AS (
    SELECT device_id, node, start_us, end_us, sum(device_us) AS booked_us FROM ledger GROUP BY ALL
),
followed AS (
    SELECT
        device_id,
        node,
        end_us AS start_us,
        lead(start_us) OVER (
            PARTITION BY device_id, node, hour_of(start_us) ORDER BY start_us
        ) - end_us AS hole_us
    FROM segment
),
read AS (
    SELECT
        device_id, node,
        hour_of(start_us) AS hour_us,
        min(start_us) AS first_us,
        max(end_us) AS last_us
    FROM segment
    WHERE readings > 0 OR counter_nj IS NOT NULL
    GROUP BY ALL
)
SELECT
    device_id,
    node,
    strftime(make_timestamp(start_us), '%Y-%m-%dT%H:%M:%S.%fZ') AS "start",
    s.end_us - start_us AS length_us,
    b.booked_us
FROM segment AS s
FULL JOIN booked AS b USING (device_id, node, start_us)
WHERE b.booked_us IS DISTINCT FROM s.end_us - start_us
UNION ALL
SELECT
    f.device_id,
    f.node,
    strftime(make_timestamp(f.start_us), '%Y-%m-%dT%H:%M:%S.%fZ') AS "start",
    hole_us AS length_us,
    0 AS booked_us
FROM followed AS f
JOIN read AS r
    ON r.device_id = f.device_id AND r.node = f.node AND r.hour_us = hour_of(f.start_us)
WHERE hole_us > 0 AND f.start_us >= r.first_us AND f.start_us + hole_us < r.last_us
ORDER BY ALL
