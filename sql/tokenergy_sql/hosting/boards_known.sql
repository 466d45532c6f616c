-- What the boards of nodes drew in parts of the hour.
-- In: ledger, host_known (node, from_us, to_us: disjoint parts). Out: one row a node: node,
-- energy_nj, low_nj, high_nj, device_us.
--
-- A row of the ledger that a part cuts is divided by time: floor(x b / t) - floor(x a / t). What it
-- drew there may be nothing, or all of the row: it is 30 s long at most.
WITH
cut AS (
    SELECT
        l.*,
        greatest(k.from_us, l.start_us) - l.start_us AS a,
        least(k.to_us, l.end_us) - l.start_us AS b,
        l.end_us - l.start_us AS t
    FROM ledger AS l
    JOIN host_known AS k
        ON k.node = l.node AND k.from_us < l.end_us AND l.start_us < k.to_us
)
SELECT
    node,
    sum(energy_nj::HUGEINT * b // t - energy_nj::HUGEINT * a // t)::HUGEINT AS energy_nj,
    sum(CASE WHEN b - a = t THEN low_nj ELSE 0 END)::HUGEINT AS low_nj,
    sum(high_nj)::HUGEINT AS high_nj,
    sum(device_us::HUGEINT * b // t - device_us::HUGEINT * a // t)::BIGINT AS device_us
FROM cut
WHERE t > 0
GROUP BY node
