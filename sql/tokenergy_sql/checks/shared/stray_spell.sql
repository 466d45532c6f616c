-- When processes were on boards without a job, as far as the collector tells.
-- In: event (stray, stray_over, start), device. Out: node, device_id (the board), detail (the
-- process), start_us, end_us (NULL: it still is there).
--
-- A collector that was killed records no end: the next start of one on the node is the end.
WITH
stray AS (
    SELECT node, device_id, detail, ts_us AS start_us FROM event WHERE kind = 'stray'
),
-- Of an instance the board has the energy.
board AS (
    SELECT device_id, any_value(mig_parent) AS board_id
    FROM device
    WHERE mig_parent IS NOT NULL
    GROUP BY device_id
)
SELECT
    s.node,
    coalesce(b.board_id, s.device_id) AS device_id,
    s.detail,
    s.start_us,
    min(e.ts_us) AS end_us
FROM stray AS s
LEFT JOIN board AS b ON b.device_id = s.device_id
LEFT JOIN event AS e
    ON e.node = s.node
    AND e.ts_us > s.start_us
    AND (
        e.kind = 'start'
        OR (e.kind = 'stray_over' AND e.device_id = s.device_id AND e.detail = s.detail)
    )
GROUP BY ALL
