-- No board shows more power than it can draw; such readings are left out.
-- warn, hourly
-- In: power, device, checked_hour. Out: the devices and hours with readings that were left out.
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
wrong AS (
    SELECT p.device_id, h.hour_us, p.power_mw
    FROM power AS p
    JOIN checked_hour AS h ON p.ts_us >= h.hour_us AND p.ts_us < h.hour_us + us_per_hour()
    LEFT JOIN most AS m ON m.device_id = p.device_id AND m.hour_us = h.hour_us
    -- The collector records no value, and says why.
    WHERE p.power_mw > coalesce(m.most_mw, 4000000) OR p.sensor = 'implausible'
)
SELECT
    device_id,
    strftime(make_timestamp(hour_us), '%Y-%m-%dT%H:00Z') AS hour,
    count(*) AS readings,
    max(power_mw) AS largest_mw
FROM wrong
GROUP BY ALL
ORDER BY ALL
