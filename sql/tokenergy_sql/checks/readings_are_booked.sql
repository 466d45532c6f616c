-- Every power reading lies in a segment of its device, and is counted there once.
-- fail, hourly
-- In: power, segment, board_span, board_reading, device, most_power, removed_hour. Out: the devices
-- and hours in which it is not.
--
-- Readings are counted again from the raw rows: row by row where not all of a board's readings lie
-- within its segments, or they are not as many as its segments have. A device's last reading on a
-- node is the end of its last segment there, not inside of it; a lone reading, as one on the edge
-- of an hour, has no time of its own. What a board cannot have drawn is no reading (see
-- `readings_are_plausible`). Readings that no segment has are newer than the segments: run
-- `tokenergy index`. Where readings of an hour were removed after they were booked, there is
-- nothing to count again; whether others came after them, `readings_came_in_time` says.
WITH
sound AS (
    SELECT r.device_id, r.hour_us
    FROM board_reading AS r
    JOIN board_span AS s USING (device_id, hour_us)
    LEFT JOIN most_power AS m USING (device_id, hour_us)
    GROUP BY ALL
    HAVING
        count(*) = 1
        AND any_value(r.highest_mw) <= coalesce(any_value(m.most_mw), 4000000)
        AND any_value(r.first_us) >= any_value(s.first_us)
        AND any_value(r.last_us) <= any_value(s.last_us)
        AND any_value(s.readings)
        = any_value(r.stamps) - (any_value(r.last_us) = any_value(s.last_us))::INT
),
doubtful AS (
    SELECT device_id, hour_us FROM board_reading
    EXCEPT
    SELECT device_id, hour_us FROM sound
),
seen AS (
    SELECT DISTINCT p.device_id, h.hour_us, p.ts_us
    FROM power AS p
    JOIN doubtful AS h
        ON h.device_id = p.device_id
        AND p.ts_us >= h.hour_us AND p.ts_us < h.hour_us + us_per_hour()
    LEFT JOIN most_power AS m ON m.device_id = p.device_id AND m.hour_us = h.hour_us
    WHERE p.power_mw <= coalesce(m.most_mw, 4000000)
),
-- The segments of one node; if the device moved within the hour, there are those of the next.
span AS (
    SELECT
        device_id, hour_us, first_us, last_us, readings AS booked
    FROM board_span
),
-- A reading that ends one node's segments and begins another's is the other's.
owned AS (
    SELECT
        *,
        CASE
            WHEN lead(first_us) OVER hour <= last_us THEN lead(first_us) OVER hour
            ELSE last_us + 1
        END AS until_us,
        row_number() OVER hour AS place
    FROM span
    WINDOW hour AS (PARTITION BY device_id, hour_us ORDER BY first_us, last_us)
),
booking AS (
    SELECT
        device_id,
        hour_us,
        sum(booked)::BIGINT AS booked,
        count(*) FILTER (WHERE booked > 0) AS nodes
    FROM span
    GROUP BY ALL
),
counted AS (
    SELECT
        s.device_id,
        s.hour_us,
        count(*) FILTER (WHERE o.place = 1 OR o.place IS NULL) AS readings,
        count(*) FILTER (WHERE s.ts_us >= o.first_us AND s.ts_us < o.until_us) AS within,
        count(*) FILTER (
            WHERE s.ts_us >= o.first_us AND s.ts_us < least(o.until_us, o.last_us)
        ) AS inside
    FROM seen AS s
    LEFT JOIN owned AS o ON o.device_id = s.device_id AND o.hour_us = s.hour_us
    GROUP BY ALL
),
-- A reading may end a segment while no time begins with it: nobody held the device then, or its
-- record ends. Whether time is missing there, `ledger_is_complete` says.
unfollowed AS (
    SELECT l.device_id, l.hour_us, count(DISTINCT l.ts_us) AS unheld
    FROM seen AS l
    JOIN owned AS o ON o.device_id = l.device_id AND o.hour_us = l.hour_us
    SEMI JOIN segment AS e ON e.device_id = l.device_id AND e.end_us = l.ts_us
    ANTI JOIN segment AS s
        ON s.device_id = l.device_id AND s.start_us <= l.ts_us AND s.end_us > l.ts_us
    WHERE l.ts_us >= o.first_us AND l.ts_us < o.last_us
    GROUP BY ALL
),
left_out AS (
    SELECT hour_us, node FROM removed_hour WHERE own
),
unread AS (
    SELECT DISTINCT s.device_id, l.hour_us
    FROM left_out AS l
    JOIN segment AS s ON s.node = l.node AND hour_of(s.start_us) = l.hour_us
),
judged AS (
    SELECT
        device_id,
        hour_us,
        readings,
        inside,
        coalesce(booked, 0) AS booked,
        readings - within AS outside,
        -- A node whose segments have no reading of the device may have a lone one.
        greatest(coalesce(of_device.nodes, 1) - coalesce(b.nodes, 0), 0) AS lone,
        coalesce(u.unheld, 0) AS unheld
    FROM counted
    ANTI JOIN unread USING (device_id, hour_us)
    LEFT JOIN booking AS b USING (device_id, hour_us)
    LEFT JOIN unfollowed AS u USING (device_id, hour_us)
    LEFT JOIN (
        SELECT device_id, count(DISTINCT node) AS nodes FROM device GROUP BY device_id
    ) AS of_device USING (device_id)
)
SELECT
    device_id,
    strftime(make_timestamp(hour_us), '%Y-%m-%dT%H:00Z') AS hour,
    readings,
    booked,
    outside
FROM judged
WHERE inside < booked OR outside + inside - booked > lone + unheld
ORDER BY ALL
