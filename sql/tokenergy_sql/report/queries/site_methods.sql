-- Where PUE and host power of the nodes come from. In: node_hour. Out: one row a method and place,
-- the most node-hours first: facility_method, pue_place, host_method where node_hour tells it,
-- host_known (whether the host's energy is known), node_hours, known (of them, those whose facility
-- energy is known), facility_j ((boards + host) * PUE of these), low and high (of the PUE).
SELECT
    coalesce(facility_method, CASE WHEN pue_ppm IS NULL THEN 'none' ELSE 'declared' END)
        AS facility_method,
    -- Only some releases have host_method; a name that matches nothing is left out.
    COLUMNS('^(pue_place|host_method)$'),
    e_host_nj IS NOT NULL AS host_known,
    count(*) AS node_hours,
    count(*) FILTER (
        WHERE e_gpu_nj IS NOT NULL AND e_host_nj IS NOT NULL AND pue_ppb IS NOT NULL
    ) AS known,
    joules(sum((e_gpu_nj::DOUBLE + e_host_nj::DOUBLE) * (pue_ppb / whole_ppb()))) AS facility_j,
    min(pue_low_ppb) / whole_ppb() AS low,
    CASE WHEN count(pue_high_ppb) = count(pue_ppb) THEN max(pue_high_ppb) END / whole_ppb() AS high
FROM node_hour
GROUP BY ALL
ORDER BY node_hours DESC, facility_method, pue_place, host_known
