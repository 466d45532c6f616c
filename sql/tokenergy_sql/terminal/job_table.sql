-- The per-job table of the terminal, the largest consumer first.
-- In: job_index. Out: one row per job.
SELECT
    job_id, workload, model, devices,
    CASE WHEN workload = 'training' THEN n_trained ELSE n_generated END AS tokens,
    e_gpu_j, e_gpu_active_j, coalesce(te_gpu_out, te_train) AS te_gpu,
    te_gpu_low, te_gpu_high, tokenergy, te_low, te_high, coverage, token_coverage,
    j_per_request, te_gpu_goodput,
    reason_codes, emulated
FROM job_index
ORDER BY e_gpu_j DESC NULLS LAST, job_id
