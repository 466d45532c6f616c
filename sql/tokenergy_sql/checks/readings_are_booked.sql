-- Every power reading lies in a segment of its device, and is counted there once.
-- fail, hourly
-- In: power, segment, device, checked_hour. Out: the devices and hours in which it is not.
--
-- Readings are counted again from the raw rows. The last reading of a device is the end of its last
-- segment, not inside of it; a lone reading, as one on the edge of an hour, has no time of its own.
-- What a board cannot have drawn is no reading (see `readings_are_plausible`).
-- Readings that no segment has are newer than the segments: run `tokenergy index`.
WITH
limited AS (
    SELECT
        device_id, ts_us,
        greatest(
            CASE WHEN limit_mw BETWEEN 1 AND 4000000 THEN limit_mw END,
            CASE WHEN limit_max_mw BETWEEN 1 AND 4000000 THEN limit_max_mw END
        ) AS highest_mw
    FROM device
),
-- The most that a board can be believed to draw: half more than the highest limit recorded by the
-- end of the hour, or else than the first one recorded; 4 kW if there is none.
most AS (
    SELECT
        h.hour_us,
        l.device_id,
        coalesce(
            max(highest_mw) FILTER (WHERE ts_us < h.hour_us + us_per_hour()),
            arg_min(highest_mw, ts_us)
        ) * 3 // 2 AS most_mw
    FROM checked_hour AS h
    CROSS JOIN limited AS l
    GROUP BY h.hour_us, l.device_id
),
seen AS (
    SELECT DISTINCT p.device_id, h.hour_us, p.ts_us
    FROM power AS p
    JOIN checked_hour AS h ON p.ts_us >= h.hour_us AND p.ts_us < h.hour_us + us_per_hour()
    LEFT JOIN most AS m ON m.device_id = p.device_id AND m.hour_us = h.hour_us
    WHERE p.power_mw <= coalesce(m.most_mw, 4000000)
),
span AS (
    SELECT
        device_id,
        hour_of(start_us) AS hour_us,
        min(start_us) AS first_us,
        max(end_us) AS last_us,
        sum(readings)::BIGINT AS booked
    FROM segment
    GROUP BY ALL
),
counted AS (
    SELECT
        device_id,
        hour_us,
        count(*) AS readings,
        count(*) FILTER (WHERE ts_us >= first_us AND ts_us < last_us) AS inside,
        count(*) FILTER (
            WHERE last_us IS NULL OR ts_us NOT BETWEEN first_us AND last_us
        ) AS outside,
        any_value(booked) AS booked
    FROM seen
    LEFT JOIN span USING (device_id, hour_us)
    GROUP BY ALL
)
SELECT
    device_id,
    strftime(make_timestamp(hour_us), '%Y-%m-%dT%H:00Z') AS hour,
    readings,
    coalesce(booked, 0) AS booked,
    outside
FROM counted
WHERE readings > 1 AND (outside > 0 OR inside IS DISTINCT FROM coalesce(booked, 0))
ORDER BY ALL
