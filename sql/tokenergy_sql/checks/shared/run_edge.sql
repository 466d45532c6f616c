-- Where the ledger begins and ends to book by the counter: the two readings that each such instant
-- lies between, if what is known of the first and last readings of hours tells them.
-- In: booked_run, board_edge. Out: device_id, edge_us, told, t0, c0, t1, c1 (us, mJ).
--
-- At the stamp of a reading, that alone is enough.
WITH
edge AS (
    SELECT DISTINCT device_id, edge_us, hour_of(edge_us) AS hour_us
    FROM (
        SELECT device_id, unnest([a_us, b_us]) AS edge_us
        FROM booked_run
        WHERE meter = 'counter'
    )
),
beside AS (
    SELECT
        e.device_id,
        e.edge_us,
        e.edge_us = e.hour_us AS at_hour,
        CASE
            WHEN h.first_counter_us = e.edge_us THEN h.first_mj
            WHEN h.last_counter_us = e.edge_us THEN h.last_mj
        END AS here_mj,
        b.last_counter_us, b.last_mj, h.first_counter_us, h.first_mj
    FROM edge AS e
    LEFT JOIN board_edge AS h ON h.device_id = e.device_id AND h.hour_us = e.hour_us
    LEFT JOIN board_edge AS b
        ON b.device_id = e.device_id AND b.hour_us = e.hour_us - us_per_hour()
)
SELECT
    device_id,
    edge_us,
    here_mj IS NOT NULL
    OR (at_hour AND last_counter_us IS NOT NULL AND first_counter_us IS NOT NULL) AS told,
    CASE WHEN here_mj IS NULL THEN last_counter_us ELSE edge_us END AS t0,
    coalesce(here_mj, last_mj) AS c0,
    first_counter_us AS t1,
    first_mj AS c1
FROM beside
