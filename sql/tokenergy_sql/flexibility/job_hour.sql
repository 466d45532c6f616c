-- Energy of some jobs by hour, at each boundary.
-- In: job_hour_index; $jobs. Out: one row a job and hour: nanojoules, with bounds where they are
-- known.
SELECT
    job_id,
    hour_us,
    device_us,
    covered_us,
    e_gpu_nj,
    e_gpu_low_nj,
    e_gpu_high_nj,
    e_facility_nj,
    e_facility_low_nj,
    e_facility_high_nj
FROM job_hour_index
WHERE job_id IN (SELECT unnest($jobs))
ORDER BY job_id, hour_us
