-- GPU <= IT <= facility energy, active + idle = GPU energy, and each index is within its bounds.
-- fail, touched
-- In: job_index. Out: the jobs of which one of these is not true.
--
-- A calibrated card's bounds hold the true energy, which its meter may be far from.
SELECT job_id, e_gpu_j, e_it_j, e_facility_j, tokenergy, te_low, te_high
FROM job_index
WHERE
    e_gpu_j > e_it_j
    OR e_it_j > e_facility_j
    OR e_gpu_active_j + e_gpu_idle_j NOT BETWEEN e_gpu_j * 0.999999999 AND e_gpu_j * 1.000000001
    OR (tokenergy NOT BETWEEN te_low AND te_high AND NOT contains(reason_codes, 'calibrated'))
    OR (e_facility_j IS NOT NULL AND e_gpu_j IS NULL)
ORDER BY ALL
