-- The energy of jobs, as far as some hours touched it: the ledger's rows in these hours, and what
-- `ledger_hour` has of the jobs' other hours. Each row of it is the sum of the ledger's: that is
-- checked of each hour by itself.
-- In: checked_hour, touched_job, ledger (of these hours), ledger_hour (of all hours of the jobs).
-- Out: job_id, energy_nj.
SELECT job_id, energy_nj
FROM ledger
WHERE job_id IS NOT NULL
UNION ALL
SELECT job_id, energy_nj
FROM ledger_hour
SEMI JOIN touched_job USING (job_id)
WHERE hour_us NOT IN (SELECT hour_us FROM checked_hour)
