-- The instants at which an allocation of a device begins or ends, each once.
-- In: allocation. Out: device_id, cut_us.
SELECT device_id, start_us AS cut_us FROM allocation
UNION
SELECT device_id, end_us FROM allocation WHERE end_us IS NOT NULL
