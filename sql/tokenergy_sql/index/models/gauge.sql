-- Readings of the state gauges of the hour's devices, in order.
-- In: device_place (device_id, place), state, parameters. Out: place, ts_us, sm_util, processes; -1
-- for a missing value.
--
-- No segment crosses an hour, and a process list counts for 15 s (see `booking/accounts.py`), so
-- earlier or later readings do not matter to this hour.
SELECT
    place,
    ts_us,
    coalesce(sm_util, -1)::INT AS sm_util,
    coalesce(len(pids), -1)::INT AS processes
FROM state
JOIN device_place USING (device_id)
WHERE
    ts_us >= (SELECT hour_us - 15 * us_per_second() FROM parameters)
    AND ts_us <= (SELECT hour_us + us_per_hour() FROM parameters)
    AND (sm_util IS NOT NULL OR pids IS NOT NULL)
ORDER BY ALL
