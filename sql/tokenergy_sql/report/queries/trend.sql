-- J/token of each workload over time: sum of energy over sum of tokens of all its job-hours.
-- In: job_hour_index, job_index, $step_us. Out: one row a workload and step.
-- A job-hour counts where both are known; the facility's figure needs that of all that count.
WITH hour AS (
    SELECT
        j.workload,
        h.hour_us - h.hour_us % $step_us AS step_us,
        CASE j.workload WHEN 'training' THEN h.n_trained ELSE h.n_generated END AS n,
        h.e_gpu_nj, h.e_gpu_low_nj, h.e_gpu_high_nj,
        h.e_facility_nj, h.e_facility_low_nj, h.e_facility_high_nj,
        h.n_low, h.n_high
    FROM job_hour_index AS h
    JOIN (SELECT job_id, workload FROM job_index) AS j USING (job_id)
    WHERE j.workload IN ('inference', 'training') AND h.e_gpu_nj IS NOT NULL AND n IS NOT NULL
)
SELECT
    workload,
    step_us,
    sum(n)::DOUBLE AS tokens,
    CASE WHEN tokens > 0 THEN joules(sum(e_gpu_nj)::DOUBLE) / tokens END AS gpu,
    CASE WHEN tokens > 0 THEN joules(sum(e_gpu_low_nj)::DOUBLE) / sum(n_high)::DOUBLE END
        AS gpu_low,
    CASE WHEN sum(n_low) > 0 THEN joules(sum(e_gpu_high_nj)::DOUBLE) / sum(n_low)::DOUBLE END
        AS gpu_high,
    CASE
        WHEN tokens > 0 AND count(e_facility_nj) = count(*)
            THEN joules(sum(e_facility_nj)::DOUBLE) / tokens
    END AS facility,
    CASE
        WHEN facility IS NOT NULL
            THEN joules(sum(e_facility_low_nj)::DOUBLE) / sum(n_high)::DOUBLE
    END AS facility_low,
    CASE
        WHEN facility IS NOT NULL AND sum(n_low) > 0
            THEN joules(sum(e_facility_high_nj)::DOUBLE) / sum(n_low)::DOUBLE
    END AS facility_high
FROM hour
GROUP BY workload, step_us
ORDER BY workload, step_us
