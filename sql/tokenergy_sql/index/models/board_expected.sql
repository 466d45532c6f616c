-- The boards that each node should have in an hour: those last recorded at each of its indices.
-- In: device_now. Out: node, device_id, emulated.
--
-- A board that was replaced, or that its node lost before it recorded its boards again, has had its
-- index taken by another one. MIG instances are part of their boards.
SELECT node, device_id, emulated
FROM device_now
WHERE mig_parent IS NULL
QUALIFY row_number() OVER (
    PARTITION BY node, coalesce("index"::VARCHAR, device_id) ORDER BY ts_us DESC, device_id
) = 1
