-- What the state gauges said of the devices of the hour, in order.
-- In: device_place (device_id, place), state, parameters. Out: place, ts_us, sm_util, processes; -1
-- where not told. No segment reaches beyond its hour, and process lists count for 15 s (see
-- `booking/accounts.py`): what was read before or after that says nothing of this hour.
SELECT
    place,
    ts_us,
    coalesce(sm_util, -1)::INT AS sm_util,
    coalesce(len(pids), -1)::INT AS processes
FROM state
JOIN device_place USING (device_id)
WHERE ts_us >= (SELECT hour_us - 15 * us_per_second() FROM parameters)
  AND ts_us <= (SELECT hour_us + us_per_hour() FROM parameters)
  AND (sm_util IS NOT NULL OR pids IS NOT NULL)
ORDER BY ALL
