-- The devices that the job held, as they were last found.
-- In: device_now, held. Out: one row per device.
SELECT
    device_id, node, "name", limit_mw, sensor_kind, learned_us, counter_us,
    ts_us AS told_us, emulated
FROM device_now
WHERE device_id IN (SELECT device_id FROM held)
ORDER BY node, device_id
