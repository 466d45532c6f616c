-- How many readings of one file are of devices that the job held at the time.
-- In: rows_of_file, held. Out: one row.
SELECT
    count(*) AS rows, count(energy_mj) AS counter_rows,
    min(ts_us) AS first_us, max(ts_us) AS last_us
FROM rows_of_file AS r
WHERE EXISTS (
    SELECT 1
    FROM held AS a
    WHERE
        a.device_id = r.device_id
        AND r.ts_us >= a.start_us
        AND (a.end_us IS NULL OR r.ts_us <= a.end_us)
)
