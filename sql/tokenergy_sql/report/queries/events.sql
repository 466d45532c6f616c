-- What happened to the record, but for plain starts and stops. In: event, $most.
-- Out: at most $most rows, the earliest first; `total` is the number of all.
SELECT ts_us, node, device_id, kind, detail, count(*) OVER () AS total
FROM event
WHERE kind NOT IN ('start', 'stop')
ORDER BY ts_us, node, device_id, kind, detail
LIMIT $most
