-- In each hour, burdened jobs and unborne energy are what the sites drew, to the nanojoule.
-- fail, hourly
-- In: ledger, node_hour, job_hour_index. Out: the hours in which the two differ.
--
-- The right side is the ledger alone: no place, no share and no pool is in it.
WITH
site AS (
    SELECT hour_of(start_us) AS hour_us, coalesce(sum(energy_nj), 0) AS drawn_nj
    FROM ledger
    GROUP BY ALL
),
borne AS (
    SELECT hour_us, coalesce(sum(borne_nj), 0) AS borne_nj
    FROM (
        SELECT hour_us, e_gpu_burdened_nj AS borne_nj FROM job_hour_index
        UNION ALL
        SELECT hour_us, unborne_gpu_nj FROM node_hour
    )
    GROUP BY hour_us
)
SELECT
    strftime(make_timestamp(hour_us), '%Y-%m-%dT%H:00Z') AS hour,
    coalesce(b.borne_nj, 0) AS borne_nj,
    coalesce(s.drawn_nj, 0) AS sites_nj,
    b.borne_nj - s.drawn_nj AS difference_nj
FROM site AS s
FULL JOIN borne AS b USING (hour_us)
WHERE coalesce(b.borne_nj, 0) <> coalesce(s.drawn_nj, 0)
ORDER BY ALL
