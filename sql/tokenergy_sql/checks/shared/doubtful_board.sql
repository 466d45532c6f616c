-- The boards whose single readings `law` and `sparse_bounds` look at.
-- In: run_edge, unread_time. Out: device_id.
SELECT device_id FROM run_edge WHERE NOT told
UNION
SELECT device_id FROM unread_time
