-- Raw files that broke the contract and were left out. In: quarantined, $most. Out: at most $most
-- rows, the earliest first; `total` is the number of all.
SELECT hour_us, "table", file, reason, count(*) OVER () AS total
FROM quarantined
ORDER BY hour_us, "table", file
LIMIT $most
