-- Where a record gives whole seconds or watts, its device says so, and the bounds allow for it.
-- warn, hourly
-- In: power, device, checked_hour. Out: the devices and hours (of 100 readings and more) without.
--
-- Import such a log again: an earlier version did not note the resolution.
WITH
rounded AS (
    SELECT
        device_id,
        hour_of(ts_us) AS hour_us,
        count(*) AS readings,
        bool_and(ts_us % us_per_second() = 0) AS whole_seconds,
        bool_and(power_mw % 1000 = 0) AND count(DISTINCT power_mw) > 10 AS whole_watts
    FROM power
    WHERE power_mw IS NOT NULL AND hour_of(ts_us) IN (SELECT hour_us FROM checked_hour)
    GROUP BY ALL
    HAVING count(*) >= 100
),
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
FROM rounded AS r
LEFT JOIN told AS t USING (device_id)
WHERE
    (whole_seconds AND stamp_step_us IS NULL)
    OR (whole_watts AND power_step_mw IS NULL)
ORDER BY ALL
