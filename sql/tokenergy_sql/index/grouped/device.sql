-- What was recorded of the devices of a group by the end of an hour.
-- In: device, group_device. Out: the columns of device.
SELECT device.* FROM device SEMI JOIN group_device USING (device_id)
