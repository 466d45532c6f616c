-- Where a record gives whole seconds or watts, its device says so, and the bounds allow for it.
-- warn, hourly
-- In: board_reading, device. Out: the devices and hours (of 100 readings and more) without.
--
-- Import such a log again: an earlier version did not note the resolution.
WITH
told AS (
    SELECT
        device_id,
        max(stamp_step_us) AS stamp_step_us,
        max(power_step_mw) AS power_step_mw
    FROM device
    GROUP BY device_id
)
SELECT
    r.device_id,
    strftime(make_timestamp(hour_us), '%Y-%m-%dT%H:00Z') AS hour,
    readings,
    whole_seconds AND stamp_step_us IS NULL AS seconds,
    whole_watts AND power_step_mw IS NULL AS watts
FROM board_reading AS r
LEFT JOIN told AS t USING (device_id)
WHERE
    readings >= 100
    AND (
        (whole_seconds AND stamp_step_us IS NULL)
        OR (whole_watts AND power_step_mw IS NULL)
    )
ORDER BY ALL
