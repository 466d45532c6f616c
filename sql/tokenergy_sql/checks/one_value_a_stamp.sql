-- A device has one power at each stamp; where a record holds several, their mean is booked.
-- warn, hourly
-- In: board_reading. Out: the devices and hours with stamps at which powers differ.
SELECT
    device_id,
    strftime(make_timestamp(hour_us), '%Y-%m-%dT%H:00Z') AS hour,
    unequal AS stamps,
    unequal_mw AS largest_difference_mw
FROM board_reading
WHERE unequal > 0
ORDER BY ALL
