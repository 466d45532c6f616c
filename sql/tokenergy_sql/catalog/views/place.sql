-- Where each device is now, and its board; for figures of the past, see place_at.
-- In: place_at. Out: one row a device.
CREATE VIEW place AS
SELECT * EXCLUDE (from_us, to_us)
FROM place_at
WHERE to_us = 9000000000000000
