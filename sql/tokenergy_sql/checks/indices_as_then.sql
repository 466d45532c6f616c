-- A board that a job list names by its index is the one that had this index when the job began.
-- fail, touched
-- In: jobs, device, allocation. Out: the jobs for which the books take another board.
WITH
named AS (
    SELECT DISTINCT job_id, node, device_id::BIGINT AS "index", start_us
    FROM jobs
    WHERE regexp_full_match(device_id, '[0-9]{1,9}')
),
plugged AS (
    SELECT node, "index", ts_us, min(device_id) AS device_id
    FROM device
    WHERE "index" IS NOT NULL
    GROUP BY ALL
),
first_seen AS (
    SELECT node, "index", arg_min(device_id, ts_us) AS device_id FROM plugged GROUP BY ALL
),
then_there AS (
    SELECT n.*, coalesce(p.device_id, f.device_id) AS device_id
    FROM named AS n
    ASOF LEFT JOIN plugged AS p
        ON p.node = n.node AND p."index" = n."index" AND p.ts_us <= n.start_us
    LEFT JOIN first_seen AS f ON f.node = n.node AND f."index" = n."index"
),
-- A board that had been found on another node by then had no index on this one any more.
sighted AS (
    SELECT device_id, ts_us, list(DISTINCT node) AS nodes FROM device GROUP BY ALL
),
still_there AS (
    SELECT t.*
    FROM then_there AS t
    ASOF LEFT JOIN sighted AS s ON s.device_id = t.device_id AND s.ts_us <= t.start_us
    WHERE s.nodes IS NULL OR list_contains(s.nodes, t.node)
)
SELECT
    t.job_id,
    t.node,
    t."index",
    strftime(make_timestamp(t.start_us), '%Y-%m-%dT%H:%M:%SZ') AS began,
    t.device_id AS board_then,
    string_agg(DISTINCT a.device_id, '+' ORDER BY a.device_id) AS board_in_the_books
FROM still_there AS t
JOIN allocation AS a ON a.job_id = t.job_id AND a.node = t.node AND a.start_us = t.start_us
WHERE t.device_id IS NOT NULL
GROUP BY ALL
HAVING NOT list_contains(list(a.device_id), t.device_id)
ORDER BY ALL
