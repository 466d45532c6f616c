-- Bounds of each device of the hour: its class of sensor, or what is assumed of one not known.
-- In: device_place (device_id, place), sensor_class, parameters. Out: one row a device, in order.
SELECT
    coalesce(c.limit_mw, parameters.limit_unknown_mw)::BIGINT AS limit_mw,
    coalesce(c.gain_ppm, parameters.error_ppm)::BIGINT AS gain_ppm,
    coalesce(c.offset_mw, 0)::BIGINT AS offset_mw,
    coalesce(c.seen_ppm, 1000000)::BIGINT AS seen_ppm
FROM device_place
CROSS JOIN parameters
LEFT JOIN sensor_class AS c USING (device_id)
ORDER BY place
