-- Bounds of each device of the hour: its sensor class, or the defaults of an unknown device.
-- In: device_place (device_id, place), sensor_class, parameters. Out: one row a device, in order.
SELECT
    coalesce(c.limit_mw, parameters.limit_unknown_mw)::BIGINT AS limit_mw,
    c.seen_ppm::BIGINT AS seen_ppm,
    c.sensor_low_ppm::BIGINT AS sensor_low_ppm,
    c.sensor_high_ppm::BIGINT AS sensor_high_ppm,
    c.sensor_offset_low_mw::BIGINT AS sensor_offset_low_mw,
    c.sensor_offset_high_mw::BIGINT AS sensor_offset_high_mw,
    c.counter_low_ppm::BIGINT AS counter_low_ppm,
    c.counter_high_ppm::BIGINT AS counter_high_ppm,
    c.counter_offset_low_mw::BIGINT AS counter_offset_low_mw,
    c.counter_offset_high_mw::BIGINT AS counter_offset_high_mw
FROM device_place
CROSS JOIN parameters
LEFT JOIN (SELECT device_id AS classified FROM sensor_class) ON classified = device_id
JOIN sensor_class AS c ON c.device_id IS NOT DISTINCT FROM classified
ORDER BY place
