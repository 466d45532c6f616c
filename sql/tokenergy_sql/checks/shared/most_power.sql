-- The most that each board can be believed to draw in the hours that are checked: half more than
-- the highest limit recorded by the end of the hour, or else than the first one recorded. A board
-- without a limit is in no row or has NULL: 4 kW.
-- In: device, checked_hour. Out: hour_us, device_id, most_mw.
WITH
limited AS (
    SELECT
        device_id, ts_us,
        greatest(
            CASE WHEN limit_mw BETWEEN 1 AND 4000000 THEN limit_mw END,
            CASE WHEN limit_max_mw BETWEEN 1 AND 4000000 THEN limit_max_mw END
        ) AS highest_mw
    FROM device
)
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
