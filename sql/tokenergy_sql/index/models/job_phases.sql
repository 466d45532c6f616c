-- What a prompt token and a generated token cost, of each job, and how that is known.
-- In: found (the indices of jobs), job_facts, phase_fit, phase_role (all hours). Out: one row a
-- job: job_id and the columns of the contract that begin with te_gpu_prefill, te_gpu_decode and
-- phase_.
--
-- Where servers only prefill, or only decode, the energy of their boards was measured: that comes
-- before any estimate. Least energy over most tokens is the lower bound, and the other way round.
WITH
of_role AS (
    SELECT
        job_id,
        role,
        sum(device_us)::BIGINT AS device_us,
        joules(sum(e_gpu_nj)::HUGEINT) / nullif(sum(tokens), 0) AS te,
        joules(sum(e_gpu_low_nj)::HUGEINT) / nullif(sum(high), 0) AS te_low,
        joules(sum(e_gpu_high_nj)::HUGEINT) / nullif(sum(low), 0) AS te_high
    FROM phase_role
    GROUP BY ALL
),
measured AS (
    SELECT
        job_id,
        sum(device_us)::BIGINT AS device_us,
        count(*) AS roles,
        any_value(te) FILTER (WHERE role = 'prefill') AS prefill,
        any_value(te_low) FILTER (WHERE role = 'prefill') AS prefill_low,
        any_value(te_high) FILTER (WHERE role = 'prefill') AS prefill_high,
        any_value(te) FILTER (WHERE role = 'decode') AS decode,
        any_value(te_low) FILTER (WHERE role = 'decode') AS decode_low,
        any_value(te_high) FILTER (WHERE role = 'decode') AS decode_high
    FROM of_role
    GROUP BY job_id
),
chosen AS (
    SELECT
        j.job_id, j.device_us AS held_us, j.n_prompt_computed, j.n_generated,
        w.workload,
        m.roles,
        f.why, f.bent, f.left_out, f.base_w, f.residual, f.windows,
        coalesce(m.roles, 0) > 0 AS by_role,
        CASE WHEN by_role THEN m.device_us ELSE f.device_us END AS device_us,
        CASE WHEN by_role THEN m.prefill ELSE f.prefill END AS te_gpu_prefill,
        CASE WHEN by_role THEN m.prefill_low ELSE f.prefill_low END AS te_gpu_prefill_low,
        CASE WHEN by_role THEN m.prefill_high ELSE f.prefill_high END AS te_gpu_prefill_high,
        CASE WHEN by_role THEN m.decode ELSE f.decode END AS te_gpu_decode,
        CASE WHEN by_role THEN m.decode_low ELSE f.decode_low END AS te_gpu_decode_low,
        CASE WHEN by_role THEN m.decode_high ELSE f.decode_high END AS te_gpu_decode_high
    FROM found AS j
    JOIN job_facts AS w USING (job_id)
    LEFT JOIN phase_fit AS f USING (job_id)
    LEFT JOIN measured AS m USING (job_id)
)
SELECT
    job_id,
    te_gpu_prefill,
    te_gpu_prefill_low,
    te_gpu_prefill_high,
    te_gpu_decode,
    te_gpu_decode_low,
    te_gpu_decode_high,
    CASE WHEN NOT by_role THEN base_w END AS phase_base_w,
    CASE WHEN NOT by_role THEN residual END AS phase_residual,
    CASE WHEN NOT by_role THEN windows END AS phase_windows,
    CASE WHEN held_us > 0 THEN least(device_us / held_us, 1.0) END AS phase_coverage,
    CASE
        WHEN by_role THEN 'roles'
        WHEN coalesce(te_gpu_prefill, te_gpu_decode) IS NOT NULL THEN 'regression'
        ELSE 'none'
    END AS phase_method,
    array_to_string(list_filter([
        CASE
            WHEN by_role THEN CASE WHEN roles = 1 THEN 'one_role' END
            WHEN workload <> 'inference' THEN 'not_inference'
            WHEN n_prompt_computed IS NULL THEN 'no_prompt_counter'
            WHEN n_prompt_computed = 0 OR coalesce(n_generated, 0) = 0 THEN 'zero_tokens'
            ELSE nullif(coalesce(why, 'few_windows'), '')
        END,
        CASE WHEN bent AND NOT by_role THEN 'nonlinear' END,
        -- What kept windows out says why there are few.
        CASE WHEN why = 'few_windows' AND NOT by_role THEN nullif(left_out, '') END
    ], lambda code: code IS NOT NULL), ',') AS phase_reasons
FROM chosen
