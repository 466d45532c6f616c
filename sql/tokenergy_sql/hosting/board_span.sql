-- When the boards of some nodes were booked, and when their energy is not known.
-- In: ledger, host_wanted (node). Out: node, device_id, unknown, from_us, to_us, ascending: rows of
-- a board that touch or overlap are one span.
WITH
booked AS (
    SELECT DISTINCT node, device_id, energy_nj IS NULL AS unknown, start_us, end_us
    FROM ledger
    SEMI JOIN host_wanted USING (node)
),
begun AS (
    SELECT
        *,
        start_us > coalesce(max(end_us) OVER (
            PARTITION BY node, device_id, unknown ORDER BY start_us, end_us
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ), -1) AS begins
    FROM booked
),
numbered AS (
    SELECT
        *,
        count_if(begins) OVER (
            PARTITION BY node, device_id, unknown ORDER BY start_us, end_us
            ROWS UNBOUNDED PRECEDING
        ) AS island
    FROM begun
)
SELECT node, device_id, unknown, min(start_us) AS from_us, max(end_us) AS to_us
FROM numbered
GROUP BY node, device_id, unknown, island
ORDER BY node, device_id, unknown, from_us
