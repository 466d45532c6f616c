-- Energy and tokens of each workload by day. In: job_hour_index, job_index. Out: one row a UTC day and
-- workload; tokens are generated ones, or trained ones of training.
SELECT
    h.hour_us - h.hour_us % us_per_day() AS day_us,
    j.workload,
    joules(sum(h.e_gpu_nj)::DOUBLE) AS energy_j,
    sum(CASE j.workload WHEN 'training' THEN h.n_trained ELSE h.n_generated END)::BIGINT AS tokens
FROM job_hour_index AS h
JOIN job_index AS j USING (job_id)
WHERE j.workload IN ('inference', 'training')
GROUP BY ALL
ORDER BY ALL
