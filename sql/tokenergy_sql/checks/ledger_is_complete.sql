-- A device's segments leave no time out, and every segment's time is booked exactly once.
-- fail, hourly, by device
-- In: segment, odd_segment, odd_board, board_span, ledger. Out: the slots of 30 s of which it is
-- not, holes between segments, and ledger rows that do not begin and end with a segment.
--
-- Between its last reading on one node and its first on the next, a device is on neither: no hole.
-- Nor is time before its first or after its last reading, unless a job held it.
--
-- A row of the ledger is a run of segments inside a slot. Only of boards of which sums leave
-- something open (`odd_board.sql`) are slots and holes looked at.
WITH
booked AS (
    SELECT
        device_id, node,
        start_us // (30 * us_per_second()) AS slot,
        min(start_us) AS start_us,
        sum(device_us)::BIGINT AS booked_us
    FROM ledger
    WHERE device_id IN (SELECT device_id FROM odd_board)
    GROUP BY ALL
),
doubtful AS (
    SELECT
        device_id, node,
        start_us // (30 * us_per_second()) AS slot,
        min(start_us) AS start_us,
        sum(end_us - start_us)::BIGINT AS length_us
    FROM odd_segment
    GROUP BY ALL
),
followed AS (
    SELECT
        s.device_id,
        s.node,
        s.end_us AS start_us,
        o.read_first_us,
        o.read_last_us,
        lead(s.start_us) OVER (
            PARTITION BY s.device_id, s.node, o.hour_us ORDER BY s.start_us
        ) - s.end_us AS hole_us
    FROM odd_segment AS s
    JOIN board_span AS o
        ON o.device_id = s.device_id AND o.node = s.node AND o.hour_us = hour_of(s.start_us)
),
-- The edges of rows are few: it is they that are kept while the segments are read.
row_edge AS (
    SELECT device_id, node, start_us AS at_us FROM ledger
    UNION
    SELECT device_id, node, end_us FROM ledger
),
-- Where segments follow one another, each ends where another one begins, but for the last.
segment_edge AS (
    SELECT device_id, node, start_us AS at_us
    FROM segment AS s
    SEMI JOIN row_edge AS e
        ON e.device_id = s.device_id AND e.node = s.node AND e.at_us = s.start_us
    UNION ALL
    SELECT device_id, node, last_us FROM board_span
    UNION ALL
    SELECT device_id, node, end_us FROM odd_segment
),
astray AS (
    SELECT * FROM row_edge
    EXCEPT
    SELECT * FROM segment_edge
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
WHERE hole_us > 0 AND start_us >= read_first_us AND start_us + hole_us < read_last_us
UNION ALL
SELECT
    device_id,
    node,
    strftime(make_timestamp(at_us), '%Y-%m-%dT%H:%M:%S.%fZ') AS "start",
    NULL AS length_us,
    NULL AS booked_us
FROM astray
ORDER BY ALL
