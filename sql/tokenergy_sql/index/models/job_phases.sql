-- What a prompt token and a generated token cost, of each job, and how that is known.
-- In: found (the indices of jobs), job_facts, phase_fit. Out: one row a job: job_id and
-- the columns of the contract that begin with te_gpu_prefill, te_gpu_decode and phase_.
SELECT
    j.job_id,
    f.prefill AS te_gpu_prefill,
    f.prefill_low AS te_gpu_prefill_low,
    f.prefill_high AS te_gpu_prefill_high,
    f.decode AS te_gpu_decode,
    f.decode_low AS te_gpu_decode_low,
    f.decode_high AS te_gpu_decode_high,
    f.base_w AS phase_base_w,
    f.residual AS phase_residual,
    f.windows AS phase_windows,
    CASE WHEN j.device_us > 0 THEN least(f.device_us / j.device_us, 1.0) END AS phase_coverage,
    CASE WHEN coalesce(f.prefill, f.decode) IS NOT NULL THEN 'regression' ELSE 'none' END
        AS phase_method,
    array_to_string(list_filter([
        CASE
            WHEN w.workload <> 'inference' THEN 'not_inference'
            WHEN j.n_prompt_computed IS NULL THEN 'no_prompt_counter'
            WHEN coalesce(j.n_prompt_computed, 0) = 0 OR coalesce(j.n_generated, 0) = 0
                THEN 'zero_tokens'
            WHEN f.job_id IS NULL THEN 'few_windows'
            ELSE nullif(f.why, '')
        END,
        CASE WHEN f.bent THEN 'nonlinear' END,
        -- What kept windows out says why there are few.
        CASE WHEN f.why = 'few_windows' THEN nullif(f.left_out, '') END
    ], lambda code: code IS NOT NULL), ',') AS phase_reasons
FROM found AS j
JOIN job_facts AS w USING (job_id)
LEFT JOIN phase_fit AS f USING (job_id)
