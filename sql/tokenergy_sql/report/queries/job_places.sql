-- Where and when each job was booked. In: ledger_hour. Out: one row a job, node and hour.
SELECT DISTINCT job_id, node, hour_us
FROM ledger_hour
WHERE job_id IS NOT NULL
ORDER BY job_id, node, hour_us
