-- The devices that the job held, as they were recorded while it held them.
-- In: device_at, held. Out: one row per device and change of what is shown.
SELECT
    d.device_id, d.node, d."name", d.limit_mw, d.sensor_kind, d.learned_us, d.counter_us,
    max(d.ts_us) AS told_us, bool_or(d.emulated) AS emulated
FROM device_at AS d
JOIN held AS h
    ON h.device_id = d.device_id
    AND (h.end_us IS NULL OR d.from_us < h.end_us)
    AND d.to_us > h.start_us
GROUP BY ALL
ORDER BY d.node, d.device_id, told_us
