-- No board shows more power than it can draw; such readings are left out.
-- warn, hourly
-- In: power, board_reading, most_power, checked_hour. Out: the devices and hours with readings that
-- were left out.
WITH
doubtful AS (
    SELECT DISTINCT r.device_id
    FROM board_reading AS r
    LEFT JOIN most_power AS m ON m.device_id = r.device_id AND m.hour_us = r.hour_us
    WHERE r.highest_mw > coalesce(m.most_mw, 4000000) OR r.implausible > 0
),
wrong AS (
    SELECT p.device_id, h.hour_us, p.power_mw
    FROM power AS p
    SEMI JOIN doubtful AS d ON d.device_id = p.device_id
    JOIN checked_hour AS h ON p.ts_us >= h.hour_us AND p.ts_us < h.hour_us + us_per_hour()
    LEFT JOIN most_power AS m ON m.device_id = p.device_id AND m.hour_us = h.hour_us
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
