-- The PUE that each job had. In: job_hour_index. Out: one row a job: pue, the mean of its hours by
-- the job's energy, as its facility energy has it; pue_low and pue_high, the ends over all hours,
-- NULL if an hour has none. Hours in which the job drew nothing have no part.
SELECT
    job_id,
    CASE
        WHEN count(pue_ppb) = count(*)
            THEN
                sum((e_gpu_nj::DOUBLE + coalesce(e_host_nj, 0)::DOUBLE) * pue_ppb)
                / sum(e_gpu_nj::DOUBLE + coalesce(e_host_nj, 0)::DOUBLE) / whole_ppb()
    END AS pue,
    CASE WHEN count(pue_low_ppb) = count(*) THEN min(pue_low_ppb) / whole_ppb() END AS pue_low,
    CASE WHEN count(pue_high_ppb) = count(*) THEN max(pue_high_ppb) / whole_ppb() END AS pue_high
FROM job_hour_index
WHERE e_gpu_nj > 0
GROUP BY job_id
