-- J/token of each workload over time: sum of energy over sum of tokens of all its job-hours.
-- In: job_hour_index, job_index, $step_us. Out: one row a workload and step.
-- Of the time in which both are known, at least half of the device time; the facility's figure needs
-- that of all that count.
WITH hour AS (
    SELECT
        j.workload,
        h.hour_us - h.hour_us % $step_us AS step_us,
        h.device_us, h.joint_us, h.n_joint, h.n_joint_low, h.n_joint_high,
        h.e_joint_nj, h.e_joint_low_nj, h.e_joint_high_nj,
        h.e_joint_facility_nj, h.e_joint_facility_low_nj, h.e_joint_facility_high_nj
    FROM job_hour_index AS h
    JOIN (SELECT job_id, workload FROM job_index) AS j USING (job_id)
    WHERE j.workload IN ('inference', 'training') AND h.e_joint_nj IS NOT NULL
)
SELECT
    workload,
    step_us,
    CASE WHEN sum(joint_us) >= least_joint_coverage() * sum(device_us) THEN sum(n_joint)::DOUBLE END AS tokens,
    CASE WHEN tokens > 0 THEN joules(sum(e_joint_nj)::DOUBLE) / tokens END AS gpu,
    CASE WHEN tokens > 0 THEN joules(sum(e_joint_low_nj)::DOUBLE) / sum(n_joint_high)::DOUBLE END
        AS gpu_low,
    CASE WHEN tokens > 0 AND sum(n_joint_low) > 0 THEN joules(sum(e_joint_high_nj)::DOUBLE) / sum(n_joint_low)::DOUBLE END
        AS gpu_high,
    CASE
        WHEN tokens > 0 AND count(e_joint_facility_nj) = count(*)
            THEN joules(sum(e_joint_facility_nj)::DOUBLE) / tokens
    END AS facility,
    CASE
        WHEN facility IS NOT NULL
            THEN joules(sum(e_joint_facility_low_nj)::DOUBLE) / sum(n_joint_high)::DOUBLE
    END AS facility_low,
    CASE
        WHEN facility IS NOT NULL AND sum(n_joint_low) > 0
            THEN joules(sum(e_joint_facility_high_nj)::DOUBLE) / sum(n_joint_low)::DOUBLE
    END AS facility_high
FROM hour
GROUP BY workload, step_us
ORDER BY workload, step_us
