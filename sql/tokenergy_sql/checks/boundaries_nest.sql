-- gpu <= it <= facility, active + idle = gpu, and an index lies inside its bounds.
-- fail, whole
-- The bounds of a calibrated card are of what is true, which its meter may be far from.
SELECT job_id, e_gpu_j, e_it_j, e_facility_j, tokenergy, te_low, te_high
FROM job_index
WHERE e_gpu_j > e_it_j
   OR e_it_j > e_facility_j
   OR e_gpu_active_j + e_gpu_idle_j NOT BETWEEN e_gpu_j * 0.999999999 AND e_gpu_j * 1.000000001
   OR (tokenergy NOT BETWEEN te_low AND te_high AND NOT contains(reason_codes, 'calibrated'))
   OR (e_facility_j IS NOT NULL AND e_gpu_j IS NULL)
ORDER BY ALL
