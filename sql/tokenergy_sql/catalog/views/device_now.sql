-- Each device as last recorded.
-- In: device. Out: the columns of device.
CREATE VIEW device_now AS
SELECT *
FROM device
QUALIFY row_number() OVER (PARTITION BY device_id ORDER BY ts_us DESC, node) = 1
