-- Each job's burdened energy: its own, and its part of the energy that no job held.
-- In: pool_share. Out: job_id, hour_us, e_gpu_burdened_nj, e_facility_burdened_nj.
SELECT
    job_id,
    hour_us,
    sum(gpu_nj) AS e_gpu_burdened_nj,
    CASE WHEN count(facility_nj) = count(*) THEN sum(facility_nj) END AS e_facility_burdened_nj
FROM pool_share
WHERE job_id IS NOT NULL
GROUP BY ALL
