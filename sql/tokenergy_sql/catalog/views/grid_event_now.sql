-- Each interval of each event of demand response, as it was told last.
-- In: grid_event. Out: one row an event and interval: the columns of grid_event.
--
-- Of an event the highest modification counts, and of that what was recorded last. Two collectors
-- that poll one server under one name record the same event: it is one row.
CREATE VIEW grid_event_now AS
SELECT * EXCLUDE (newest)
FROM (
    SELECT *, max(modification) OVER (PARTITION BY source, vtn, event_id) AS newest
    FROM grid_event
)
WHERE modification = newest
QUALIFY row_number() OVER (
    PARTITION BY source, vtn, event_id, "interval"
    ORDER BY recorded_us DESC, node, start_us
) = 1
