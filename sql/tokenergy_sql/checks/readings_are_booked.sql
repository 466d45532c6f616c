-- Every power reading lies in a segment of its device, and is counted there once.
-- fail, hourly
-- In: power, segment, checked_hour. Out: the devices and hours in which it is not.
--
-- Readings are counted again from the raw rows. The last reading of a device is the end of its last
-- segment, not inside of it; a lone reading, as one on the edge of an hour, has no time of its own.
-- Readings that no segment has are newer than the segments: run `tokenergy index`.
WITH
seen AS (
    SELECT DISTINCT p.device_id, h.hour_us, p.ts_us
    FROM power AS p
    JOIN checked_hour AS h ON p.ts_us >= h.hour_us AND p.ts_us < h.hour_us + us_per_hour()
    WHERE p.power_mw IS NOT NULL
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
