-- Five minutes at a time: energy and tokens of serving jobs, where both are known.
-- In: phase_block, job_index; $job, $model, $since, $until (NULL: any). Out: one row a job and
-- block of five minutes.
SELECT
    b.job_id,
    b.start_us,
    b.device_us,
    b.n_prompt AS prompt,
    b.n_generated AS tokens,
    b.e_uj::HUGEINT * 1000 AS energy_nj,
    b.quantum
FROM phase_block AS b
JOIN job_index AS j USING (job_id)
WHERE
    ($job::VARCHAR IS NULL OR b.job_id = $job::VARCHAR)
    AND ($model::VARCHAR IS NULL OR j.model = $model::VARCHAR)
    AND b.start_us >= coalesce($since::BIGINT, 0)
    AND b.start_us < coalesce($until::BIGINT, 9000000000000000)
    AND b.windows > 0
    AND b.device_us > 0
    AND b.n_generated > 0
ORDER BY b.job_id, b.start_us
