-- How much more a site used at the facility than its boards did, by hour.
-- In: job_hour_index, node_hour; $since, $until. Out: one row an hour: gpu_nj, facility_nj (NULL if
-- that of some job or node is not known).
WITH
part AS (
    SELECT hour_us, e_gpu_nj AS gpu_nj, e_facility_nj AS facility_nj
    FROM job_hour_index
    UNION ALL
    SELECT hour_us, unborne_gpu_nj, unborne_facility_nj
    FROM node_hour
)
SELECT
    hour_us,
    sum(gpu_nj) AS gpu_nj,
    CASE
        WHEN count(*) FILTER (WHERE gpu_nj > 0 AND facility_nj IS NULL) = 0 THEN sum(facility_nj)
    END AS facility_nj
FROM part
WHERE hour_us >= $since AND hour_us < $until
GROUP BY hour_us
ORDER BY hour_us
