-- Each job by hour, or by several hours where it has many: sums over sums.
-- In: job_hour_index, job_index, job_step. Out: one row a job and step of hours.
WITH hour AS (
    SELECT
        h.job_id,
        h.hour_us - (h.hour_us - s.from_us + s.from_us % us_per_hour()) % s.hours_us AS at_us,
        s.hours_us AS length_us,
        CASE j.workload WHEN 'training' THEN h.n_trained WHEN 'inference' THEN h.n_generated END
            AS n,
        h.e_gpu_nj, h.e_joint_nj, h.e_joint_low_nj, h.e_joint_high_nj,
        h.e_joint_facility_nj, h.e_joint_facility_low_nj, h.e_joint_facility_high_nj,
        h.n_joint, h.n_joint_low, h.n_joint_high, h.covered_us, h.joint_us, h.device_us
    FROM job_hour_index AS h
    JOIN job_step AS s USING (job_id)
    JOIN (SELECT job_id, workload FROM job_index) AS j USING (job_id)
)
SELECT
    job_id,
    at_us,
    length_us,
    joules(sum(e_gpu_nj)::DOUBLE) AS gpu_j,
    sum(n)::BIGINT AS tokens,
    CASE WHEN sum(joint_us) >= least_joint_coverage() * sum(device_us) THEN nullif(sum(n_joint), 0) END AS divided_by,
    joules(sum(e_joint_nj)::DOUBLE) / divided_by AS gpu,
    CASE
        WHEN gpu IS NOT NULL THEN joules(sum(e_joint_low_nj)::DOUBLE) / sum(n_joint_high)::DOUBLE
    END AS gpu_low,
    CASE
        WHEN gpu IS NOT NULL AND sum(n_joint_low) > 0
            THEN joules(sum(e_joint_high_nj)::DOUBLE) / sum(n_joint_low)::DOUBLE
    END AS gpu_high,
    CASE
        WHEN count(e_joint_facility_nj) = count(e_joint_nj)
            THEN joules(sum(e_joint_facility_nj)::DOUBLE) / divided_by
    END AS facility,
    CASE
        WHEN facility IS NOT NULL
            THEN joules(sum(e_joint_facility_low_nj)::DOUBLE) / sum(n_joint_high)::DOUBLE
    END AS facility_low,
    CASE
        WHEN facility IS NOT NULL AND sum(n_joint_low) > 0
            THEN joules(sum(e_joint_facility_high_nj)::DOUBLE) / sum(n_joint_low)::DOUBLE
    END AS facility_high,
    sum(covered_us)::DOUBLE / nullif(sum(device_us), 0)::DOUBLE AS coverage
FROM hour
GROUP BY ALL
ORDER BY job_id, at_us
