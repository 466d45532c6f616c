-- Every process on a board belongs to a job.
-- warn, hourly
-- In: checked_hour, event (stray, stray_over, start), device, ledger. Out: in each hour the
-- processes that were on a board without a job, from when to when, and the energy of the board that
-- the ledger has in `unattributed` meanwhile. What a later job list explains is not there any more.
--
-- Processes that were on one board at the same time share its energy: each row has all of it. A
-- collector that was killed records no end: the next start of one on the node is the end.
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
),
spell AS (
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
)
SELECT
    p.node,
    p.device_id,
    strftime(make_timestamp(p.start_us), '%Y-%m-%dT%H:%M:%SZ') AS "from",
    coalesce(strftime(make_timestamp(p.end_us), '%Y-%m-%dT%H:%M:%SZ'), 'now') AS "to",
    round(sum(l.energy_nj) / 1e9, 3) AS unattributed_j,
    p.detail AS process
FROM spell AS p
JOIN ledger AS l
    ON l.device_id = p.device_id
    AND l.node = p.node
    AND l.account = 'unattributed'
    AND l.end_us > p.start_us
    AND l.start_us < coalesce(p.end_us, l.end_us)
JOIN checked_hour AS h ON hour_of(l.start_us) = h.hour_us
GROUP BY p.node, p.device_id, p.start_us, p.end_us, p.detail
ORDER BY ALL
