-- Each job's GPU energy is the sum of its ledger rows, to the nanojoule.
-- fail, touched
-- In: job_index, job_energy. Out: the jobs of which it is not.
--
-- Of some hours: the ledger's rows in these, and in the job's other hours those of `ledger_hour`.
WITH booked AS (
    SELECT job_id, sum(energy_nj) AS energy_nj FROM job_energy GROUP BY job_id
)
SELECT job_id, j.e_gpu_nj AS index_nj, b.energy_nj AS ledger_nj
FROM job_index AS j
FULL JOIN booked AS b USING (job_id)
WHERE j.e_gpu_nj IS DISTINCT FROM b.energy_nj
ORDER BY ALL
