-- Energy that no job bore (free idle, unattributed, and its hosts), spread over the jobs.
-- In: ledger_hour, device_now, site_node, site. Out: job_id, hour_us, e_gpu_burdened_nj,
-- e_facility_burdened_nj.
--
-- In each site and hour the pool P goes to the jobs by their device time w, at least 1 us (a small
-- share of a short time rounds to zero), by the telescoping rule: floor(P W / T) minus the same for
-- the predecessor, where W is the running sum of w and T its total. So the jobs of a site add up to
-- what the site drew, to the unit. Facility energy is PUE times the running sum, rounded down, and
-- again the differences of it. In an hour in which no job held a device of the site, no job bears
-- the pool: it stays in ledger_hour, without a job.
WITH
node_devices AS (
    SELECT node, count(DISTINCT device_id) AS devices
    FROM device_now
    WHERE mig_parent IS NULL
    GROUP BY node
),
placed AS (
    SELECT
        l.hour_us,
        coalesce(d.site, '') AS site,
        l.job_id,
        l.node,
        -- The ledger's sums are stored as DECIMAL, which DuckDB divides as DOUBLE.
        sum(l.energy_nj)::HUGEINT AS gpu_nj,
        sum(l.device_us) AS device_us
    FROM ledger_hour AS l
    LEFT JOIN device_now AS d USING (device_id)
    GROUP BY ALL
),
hosted AS (
    SELECT
        p.hour_us,
        p.site,
        p.job_id,
        sum(p.gpu_nj) AS gpu_nj,
        CASE
            WHEN count(s.host_mw) = count(*)
                THEN sum(s.host_mw::HUGEINT * p.device_us // n.devices)
        END AS host_nj,
        greatest(sum(p.device_us), 1) AS weight_us
    FROM placed AS p
    LEFT JOIN node_devices AS n USING (node)
    LEFT JOIN site_node AS s USING (node)
    GROUP BY ALL
),
pool AS (
    SELECT
        hour_us,
        site,
        coalesce(sum(gpu_nj) FILTER (WHERE job_id IS NULL), 0::HUGEINT) AS gpu_nj,
        CASE
            WHEN count(host_nj) = count(*)
                THEN coalesce(sum(host_nj) FILTER (WHERE job_id IS NULL), 0::HUGEINT)
        END AS host_nj,
        sum(weight_us) FILTER (WHERE job_id IS NOT NULL) AS weight_us
    FROM hosted
    GROUP BY ALL
),
spread AS (
    SELECT
        h.hour_us, h.site, h.job_id, p.weight_us AS whole_us,
        h.gpu_nj AS own_nj,
        h.host_nj AS own_host_nj,
        p.gpu_nj AS pool_nj,
        p.host_nj AS pool_host_nj,
        sum(h.weight_us) OVER site AS upper_us,
        upper_us - h.weight_us AS lower_us
    FROM hosted AS h
    JOIN pool AS p USING (hour_us, site)
    WHERE h.job_id IS NOT NULL
    WINDOW site AS (PARTITION BY h.hour_us, h.site ORDER BY h.job_id)
),
borne AS (
    SELECT
        *,
        coalesce(own_nj, 0)
        + pool_nj * upper_us // whole_us - pool_nj * lower_us // whole_us AS gpu_nj,
        own_host_nj
        + pool_host_nj * upper_us // whole_us - pool_host_nj * lower_us // whole_us AS host_nj
    FROM spread
),
running AS (
    SELECT
        *,
        sum(gpu_nj + host_nj) OVER (PARTITION BY hour_us, site ORDER BY job_id) AS it_nj
    FROM borne
)
SELECT
    job_id,
    hour_us,
    sum(gpu_nj) AS e_gpu_burdened_nj,
    CASE
        WHEN count(host_nj) = count(*)
            THEN sum(
                scale_ppm(it_nj, site.pue_ppm)
                - scale_ppm(it_nj - gpu_nj - host_nj, site.pue_ppm)
            )
    END AS e_facility_burdened_nj
FROM running
CROSS JOIN site
GROUP BY ALL
