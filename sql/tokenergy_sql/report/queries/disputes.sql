-- Where counter and samples differ by more than 2 %. In: ledger_hour, $most. Out: at most $most
-- rows, one a device, the largest difference first; `total` is the number of all.
-- The difference is over all of those hours, and may be small where only a part of them differs.
SELECT
    node,
    device_id,
    count(DISTINCT hour_us) AS hours,
    bool_or(contains(method, 'disputed')) AS disputed,
    joules(sum(counter_nj)::DOUBLE) AS counter_j,
    joules(sum(counted_integral_nj)::DOUBLE) AS integral_j,
    integral_j / nullif(counter_j, 0) - 1 AS difference,
    count(*) OVER () AS total
FROM ledger_hour
WHERE contains(method, 'disputed') OR contains(method, 'counter_flagged')
GROUP BY node, device_id
ORDER BY abs(difference) DESC NULLS LAST, node, device_id
LIMIT $most
