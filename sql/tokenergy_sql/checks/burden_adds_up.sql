-- In each hour, the burdened energy of the jobs is what their sites drew, to the nanojoule.
-- fail, hourly
-- In: ledger_hour, device, job_hour_index. Out: the hours in which the two differ.
--
-- A site counts in the hours in which a job held one of its devices. A device's site is the last
-- one recorded by the end of the hour, or else the first one recorded later.
WITH
located AS (
    SELECT
        device_id, ts_us,
        coalesce(arg_min(struct_pack(site := site), node).site, '') AS site
    FROM device
    GROUP BY device_id, ts_us
),
first_located AS (
    SELECT device_id, arg_min(site, ts_us) AS site FROM located GROUP BY device_id
),
drawn AS (
    SELECT
        l.hour_us,
        coalesce(t.site, f.site, '') AS site,
        sum(l.energy_nj) AS energy_nj,
        bool_or(l.job_id IS NOT NULL) AS held
    FROM ledger_hour AS l
    ASOF LEFT JOIN located AS t
        ON t.device_id = l.device_id AND t.ts_us < l.hour_us + us_per_hour()
    LEFT JOIN first_located AS f ON f.device_id = l.device_id
    GROUP BY ALL
),
site AS (
    SELECT hour_us, coalesce(sum(energy_nj) FILTER (WHERE held), 0) AS drawn_nj
    FROM drawn
    GROUP BY hour_us
),
job AS (
    SELECT hour_us, coalesce(sum(e_gpu_burdened_nj), 0) AS burdened_nj
    FROM job_hour_index
    GROUP BY hour_us
)
SELECT
    strftime(make_timestamp(hour_us), '%Y-%m-%dT%H:00Z') AS hour,
    coalesce(j.burdened_nj, 0) AS jobs_nj,
    coalesce(s.drawn_nj, 0) AS sites_nj,
    jobs_nj - sites_nj AS difference_nj
FROM site AS s
FULL JOIN job AS j USING (hour_us)
WHERE jobs_nj <> sites_nj
ORDER BY ALL
