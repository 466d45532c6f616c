-- The segments of one file that are within the job's allocations.
-- In: rows_of_file, held. Out: one row.
SELECT
    count(*) AS rows, sum(readings) AS readings, sum(covered_us) AS covered_us,
    sum(end_us - start_us) AS length_us, sum(energy_nj) AS energy_nj,
    sum(counter_nj) AS counter_nj, min(start_us) AS first_us, max(end_us) AS last_us
FROM rows_of_file AS r
WHERE EXISTS (
    SELECT 1
    FROM held AS a
    WHERE
        a.device_id = r.device_id
        AND a.start_us <= r.start_us
        AND (a.end_us IS NULL OR a.end_us >= r.end_us)
)
