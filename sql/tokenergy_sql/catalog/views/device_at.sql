-- Each device over time: what was recorded of it, and from when to when that held.
-- In: device. Out: one row a device and change of what was recorded: the columns of device.
--
-- A row holds from its stamp to the next one of the device. The first also holds before it: nothing
-- else is known of that time. For figures of an hour, take the row in force at its end.
--
--   from_us   when the row began to hold; 0 for the first of a device
--   to_us     when the next row began to hold; 9000000000000000 for the last of a device
CREATE VIEW device_at AS
SELECT
    device_id,
    CASE
        WHEN lag(ts_us) OVER recorded IS NULL THEN 0::BIGINT
        ELSE ts_us
    END AS from_us,
    coalesce(lead(ts_us) OVER recorded, 9000000000000000::BIGINT) AS to_us,
    * EXCLUDE (device_id)
FROM (
    SELECT *
    FROM device
    -- Of two nodes that recorded a device at one stamp, the same one counts as in device_now.
    QUALIFY row_number() OVER (PARTITION BY device_id, ts_us ORDER BY node) = 1
)
WINDOW recorded AS (PARTITION BY device_id ORDER BY ts_us)
