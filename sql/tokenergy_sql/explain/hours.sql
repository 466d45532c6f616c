-- The index of the job, hour by hour, and the PUE that was declared for each hour.
-- In: job_hour_index, node_hour. Out: one row per hour.
SELECT
    hour_us, e_gpu_nj, e_gpu_low_nj, e_gpu_high_nj,
    -- Older rows have no bounds: what was declared was taken as it is.
    e_host_nj,
    coalesce(e_it_low_nj, e_gpu_low_nj + e_host_nj) AS e_it_low_nj,
    CASE WHEN e_it_low_nj IS NULL THEN e_gpu_high_nj + e_host_nj ELSE e_it_high_nj END
        AS e_it_high_nj,
    e_facility_nj, e_facility_low_nj, e_facility_high_nj,
    pue_ppm, pue_ppb, pue_low_ppb, pue_high_ppb, facility_method,
    n_prompt_computed, n_prompt_cached, n_generated, n_trained, n_low, n_high,
    device_us, covered_us, unseen_us, joint_us,
    n_joint, n_joint_low, n_joint_high,
    n_joint_requests, n_joint_requests_low, n_joint_requests_high,
    e_joint_nj, e_joint_low_nj, e_joint_high_nj,
    e_joint_facility_nj, e_joint_facility_low_nj, e_joint_facility_high_nj,
    reason_codes, index_version, inputs_digest, as_of_us
FROM job_hour_index
LEFT JOIN (SELECT hour_us, any_value(pue_ppm) AS pue_ppm FROM node_hour GROUP BY hour_us)
    USING (hour_us)
WHERE job_id = getvariable('job_id') ORDER BY hour_us
