-- Nodes of whose device time too little has known power.
-- In: ledger_hour, $least. Out: node, coverage, boards, unknown_h (device hours), worst_hour.
--
-- An hour of which a board has nothing in the books, while it has earlier and later ones, counts as
-- an hour without power: the books have no rows for it.
WITH
board_hour AS (
    SELECT
        node,
        device_id,
        hour_us,
        sum(device_us)::BIGINT AS device_us,
        sum(covered_us)::BIGINT AS covered_us
    FROM ledger_hour
    GROUP BY ALL
),
span AS (
    SELECT node, device_id, min(hour_us) AS first_us, max(hour_us) AS last_us
    FROM board_hour
    GROUP BY ALL
),
expected AS (
    SELECT node, device_id, unnest(range(first_us, last_us + 1, us_per_hour())) AS hour_us
    FROM span
),
node_hour_sum AS (
    SELECT
        e.node,
        e.hour_us,
        count(DISTINCT e.device_id) AS boards,
        sum(coalesce(b.device_us, us_per_hour()))::BIGINT AS device_us,
        sum(coalesce(b.covered_us, 0))::BIGINT AS covered_us
    FROM expected AS e
    LEFT JOIN board_hour AS b
        ON b.node = e.node AND b.device_id = e.device_id AND b.hour_us = e.hour_us
    GROUP BY ALL
)
SELECT
    node,
    round(sum(covered_us)::DOUBLE / sum(device_us)::DOUBLE, 4) AS coverage,
    max(boards) AS boards,
    round((sum(device_us) - sum(covered_us))::DOUBLE / us_per_hour()::DOUBLE, 2) AS unknown_h,
    strftime(
        make_timestamp(arg_max(hour_us, device_us - covered_us)), '%Y-%m-%dT%H:00Z'
    ) AS worst_hour
FROM node_hour_sum
GROUP BY node
HAVING sum(device_us) > 0 AND sum(covered_us)::DOUBLE < $least * sum(device_us)::DOUBLE
ORDER BY coverage, node
