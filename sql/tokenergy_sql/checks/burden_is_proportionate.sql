-- Each job bears of the energy that no job held what its part of the capacity stands for.
-- fail, hourly
-- In: ledger, device, job_hour_index. Out: the jobs and hours in which it bears another part.
--
-- A site's pool is its energy without a job; a job's part of it is its device time over that of all
-- boards of the site. Divisions are rounded, once at each site. A board's site is the last one
-- recorded by the end of the hour, or else the first one recorded later.
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
booked AS (
    SELECT
        hour_of(start_us) AS hour_us, device_id, job_id,
        coalesce(sum(energy_nj), 0)::HUGEINT AS energy_nj,
        sum(device_us)::HUGEINT AS device_us
    FROM ledger
    GROUP BY ALL
),
drawn AS (
    SELECT
        b.hour_us,
        coalesce(t.site, f.site, '') AS site,
        b.job_id,
        sum(b.energy_nj)::HUGEINT AS energy_nj,
        sum(b.device_us)::HUGEINT AS device_us
    FROM booked AS b
    ASOF LEFT JOIN located AS t
        ON t.device_id = b.device_id AND t.ts_us < b.hour_us + us_per_hour()
    LEFT JOIN first_located AS f ON f.device_id = b.device_id
    GROUP BY ALL
),
site AS (
    SELECT
        hour_us, site,
        coalesce(sum(energy_nj) FILTER (WHERE job_id IS NULL), 0)::HUGEINT AS pool_nj,
        sum(device_us)::HUGEINT AS capacity_us
    FROM drawn
    GROUP BY ALL
),
expected AS (
    SELECT
        hour_us,
        job_id,
        sum(d.energy_nj + s.pool_nj * d.device_us // greatest(s.capacity_us, 1)) AS expected_nj,
        count(*) AS sites
    FROM drawn AS d
    JOIN site AS s USING (hour_us, site)
    WHERE job_id IS NOT NULL
    GROUP BY ALL
)
SELECT
    job_id,
    strftime(make_timestamp(hour_us), '%Y-%m-%dT%H:00Z') AS hour,
    e_gpu_burdened_nj AS burdened_nj,
    expected_nj
FROM expected
LEFT JOIN job_hour_index USING (hour_us, job_id)
WHERE abs(coalesce(e_gpu_burdened_nj, 0) - expected_nj) > sites
ORDER BY ALL
