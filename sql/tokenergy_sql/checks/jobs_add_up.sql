-- Each job's GPU energy is the sum of its ledger rows, to the nanojoule.
-- fail, whole
-- In: job_index, ledger. Out: the jobs of which it is not.
WITH booked AS (
    SELECT job_id, sum(energy_nj) AS energy_nj FROM ledger WHERE job_id IS NOT NULL GROUP BY job_id
)
SELECT job_id, j.e_gpu_nj AS index_nj, b.energy_nj AS ledger_nj
FROM job_index AS j
FULL JOIN booked AS b USING (job_id)
WHERE j.e_gpu_nj IS DISTINCT FROM b.energy_nj
ORDER BY ALL
