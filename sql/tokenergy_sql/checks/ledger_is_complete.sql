-- A device's segments leave no time out, and every segment's time is booked exactly once.
-- fail, hourly, by device
-- In: segment, ledger. Out: the slots of 30 s of which it is not, holes between segments, and ledger
-- rows that do not begin and end with a segment.
--
-- Between its last reading on one node and its first on the next, a device is on neither: no hole.
-- Nor is time before its first or after its last reading, unless a job held it.
--
-- A row of the ledger is a run of segments inside a slot. Most devices are right, and two sums over
-- their rows show it: times a hash of their slots, the time that is booked adds up to that of the
-- segments; and segments without holes are as long as from the first to the last. (Two that overlap
-- could hide a hole: that is another check's.) Only the others are looked at slot by slot.
WITH
of_segments AS (
    SELECT
        device_id, node,
        hour_of(start_us) AS hour_us,
        sum((end_us - start_us)::HUGEINT * hash(start_us // (30 * us_per_second()))) AS mark,
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
        sum(device_us::HUGEINT * hash(start_us // (30 * us_per_second()))) AS mark
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
    SELECT
        l.device_id, l.node,
        l.start_us // (30 * us_per_second()) AS slot,
        min(l.start_us) AS start_us,
        sum(l.device_us)::BIGINT AS booked_us
    FROM ledger AS l
    SEMI JOIN differing AS d
        ON d.device_id = l.device_id AND d.node = l.node AND d.hour_us = hour_of(l.start_us)
    GROUP BY ALL
),
doubtful AS (
    SELECT
        s.device_id, s.node,
        s.start_us // (30 * us_per_second()) AS slot,
        min(s.start_us) AS start_us,
        sum(s.end_us - s.start_us)::BIGINT AS length_us
    FROM segment AS s
    SEMI JOIN differing AS d
        ON d.device_id = s.device_id AND d.node = s.node AND d.hour_us = hour_of(s.start_us)
    GROUP BY ALL
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
),
-- The edges of rows are few: it is they that are kept while the segments are read.
row_start AS (
    SELECT DISTINCT device_id, node, start_us FROM ledger
),
row_end AS (
    SELECT DISTINCT device_id, node, end_us FROM ledger
),
astray AS (
    SELECT device_id, node, start_us AS at_us
    FROM row_start
    EXCEPT
    SELECT device_id, node, start_us
    FROM segment
    SEMI JOIN row_start USING (device_id, node, start_us)
    UNION ALL (
        SELECT device_id, node, end_us
        FROM row_end
        EXCEPT
        SELECT device_id, node, end_us
        FROM segment
        SEMI JOIN row_end USING (device_id, node, end_us)
    )
)
SELECT
    device_id,
    node,
    strftime(make_timestamp(coalesce(s.start_us, b.start_us)), '%Y-%m-%dT%H:%M:%S.%fZ') AS "start",
    s.length_us,
    b.booked_us
FROM doubtful AS s
FULL JOIN booked AS b USING (device_id, node, slot)
WHERE b.booked_us IS DISTINCT FROM s.length_us
UNION ALL
SELECT
    device_id,
    node,
    strftime(make_timestamp(start_us), '%Y-%m-%dT%H:%M:%S.%fZ') AS "start",
    hole_us AS length_us,
    0 AS booked_us
FROM followed
WHERE hole_us > 0 AND start_us >= first_us AND start_us + hole_us < last_us
UNION ALL
SELECT
    device_id,
    node,
    strftime(make_timestamp(at_us), '%Y-%m-%dT%H:%M:%S.%fZ') AS "start",
    NULL AS length_us,
    NULL AS booked_us
FROM astray
ORDER BY ALL
