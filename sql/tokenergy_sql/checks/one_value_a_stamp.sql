-- A device has one power at each stamp; where a record holds several, their mean is booked.
-- warn, hourly
-- In: power, checked_hour. Out: the devices and hours with stamps at which powers differ.
SELECT
    device_id,
    strftime(make_timestamp(hour_of(ts_us)), '%Y-%m-%dT%H:00Z') AS hour,
    count(*) AS stamps,
    max(highest_mw - lowest_mw) AS largest_difference_mw
FROM (
    SELECT device_id, ts_us, min(power_mw) AS lowest_mw, max(power_mw) AS highest_mw
    FROM power
    WHERE hour_of(ts_us) IN (SELECT hour_us FROM checked_hour)
    GROUP BY device_id, ts_us
    HAVING min(power_mw) < max(power_mw)
)
GROUP BY ALL
ORDER BY ALL
