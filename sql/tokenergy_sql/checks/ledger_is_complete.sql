-- A device's segments leave no time out, and every segment's time is booked exactly once.
-- fail, hourly, by device
-- In: segment, ledger. Out: the segments that are not, holes between segments, and ledger rows
-- without a segment.
--
-- Between its last reading on one node and its first on the next, a device is on neither: no hole.
-- Nor is time before its first or after its last reading, unless a job held it.
--
-- Most devices are right, and two sums over their rows show it: times a hash of its edges, the time
-- that is booked of each segment adds up to what the segments add up to; and segments without holes
-- are as long as from the first to the last. (Two that overlap could hide a hole: that is another
-- check's.) Only the others are looked at row by row.
WITH
of_segments AS (
    SELECT
        device_id, node,
        hour_of(start_us) AS hour_us,
        sum((end_us - start_us)::HUGEINT * hash(start_us, end_us)) AS mark,
        sum(end_us - start_us) = max(end_us) - min(start_us) AS closed,
        min(start_us) FILTER (WHERE readings > 0 OR counter_nj IS NOT NULL) AS first_us,
        max(end_us) FILTER (WHERE readings > 0 OR counter_nj IS NOT NULL) AS last_us
    FROM segment
    GROUP BY ALL
),
of_ledger AS (
    SELECT
        device_id, node,
        hour_of(start_us) AS hour_us,
        sum(device_us::HUGEINT * hash(start_us, end_us)) AS mark
    FROM ledger
    GROUP BY ALL
),
differing AS (
    SELECT device_id, node, hour_us
    FROM of_segments AS s
    FULL JOIN of_ledger AS l USING (device_id, node, hour_us)
    WHERE s.mark IS DISTINCT FROM l.mark
),
booked AS (
    SELECT l.device_id, l.node, l.start_us, l.end_us, sum(l.device_us) AS booked_us
    FROM ledger AS l
    SEMI JOIN differing AS d
        ON d.device_id = l.device_id AND d.node = l.node AND d.hour_us = hour_of(l.start_us)
    GROUP BY ALL
),
doubtful AS (
    SELECT s.device_id, s.node, s.start_us, s.end_us
    FROM segment AS s
    SEMI JOIN differing AS d
        ON d.device_id = s.device_id AND d.node = s.node AND d.hour_us = hour_of(s.start_us)
),
followed AS (
    SELECT
        s.device_id,
        s.node,
        s.end_us AS start_us,
        o.first_us,
        o.last_us,
        lead(s.start_us) OVER (
            PARTITION BY s.device_id, s.node, o.hour_us ORDER BY s.start_us
        ) - s.end_us AS hole_us
    FROM segment AS s
    JOIN of_segments AS o
        ON o.device_id = s.device_id AND o.node = s.node AND o.hour_us = hour_of(s.start_us)
    WHERE NOT o.closed
)
SELECT
    device_id,
    node,
    strftime(make_timestamp(start_us), '%Y-%m-%dT%H:%M:%S.%fZ') AS "start",
    s.end_us - start_us AS length_us,
    b.booked_us
FROM doubtful AS s
FULL JOIN booked AS b USING (device_id, node, start_us)
WHERE b.booked_us IS DISTINCT FROM s.end_us - start_us
UNION ALL
SELECT
    device_id,
    node,
    strftime(make_timestamp(start_us), '%Y-%m-%dT%H:%M:%S.%fZ') AS "start",
    hole_us AS length_us,
    0 AS booked_us
FROM followed
WHERE hole_us > 0 AND start_us >= first_us AND start_us + hole_us < last_us
ORDER BY ALL
