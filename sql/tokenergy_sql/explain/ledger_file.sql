-- The ledger rows of one file that are the job's.
-- In: rows_of_file. Out: one row.
SELECT
    count(*) AS rows, sum(energy_nj) AS energy_nj,
    min(start_us) AS first_us, max(end_us) AS last_us
FROM rows_of_file
WHERE job_id = getvariable('job_id')
