-- Energy that no job held, spread over the capacity of the site: jobs and idle boards.
-- In: ledger_hour, host_share, device_now, site. Out: one row a site, hour and job, and one a site,
-- hour and node for its idle boards: hour_us, site, job_id, node, gpu_nj, facility_nj, each with
-- the part of the pool.
--
-- In each site and hour the pool P (energy that no job held, and its part of the hosts) is shared
-- by device time, by the telescoping rule: floor(P W / T) minus the same for the predecessor, where
-- W is the running sum of device time and T that of all boards, held or not. So a job bears what
-- its part of the capacity stands for, whoever else was there. The part of idle boards stays
-- without a job. Jobs come in the order of their ids, then idle boards in that of their nodes; all
-- together they add up to what the site drew, to the unit. Facility energy is PUE times the running
-- sum, rounded down, and again the differences of it.
WITH
drawn AS (
    SELECT
        l.hour_us,
        coalesce(d.site, '') AS site,
        l.node,
        l.job_id,
        -- The ledger's sums are stored as DECIMAL, which DuckDB divides as DOUBLE.
        coalesce(sum(l.energy_nj), 0)::HUGEINT AS gpu_nj,
        sum(l.device_us)::HUGEINT AS device_us
    FROM ledger_hour AS l
    LEFT JOIN device_now AS d USING (device_id)
    GROUP BY ALL
),
-- A host is where the boards of its node are; of several sites it counts to the first.
hosted AS (
    SELECT h.hour_us, n.site, h.node, h.job_id, h.host_nj
    FROM host_share AS h
    JOIN (SELECT hour_us, node, min(site) AS site FROM drawn GROUP BY ALL) AS n
        USING (hour_us, node)
),
holder AS (
    SELECT
        hour_us,
        site,
        job_id,
        CASE WHEN job_id IS NULL THEN node END AS node,
        sum(gpu_nj)::HUGEINT AS own_nj,
        CASE WHEN count(host_nj) = count(*) THEN sum(host_nj)::HUGEINT END AS own_host_nj,
        sum(device_us)::HUGEINT AS device_us
    FROM (
        SELECT *, 0::HUGEINT AS host_nj FROM drawn
        UNION ALL BY NAME
        SELECT *, 0::HUGEINT AS gpu_nj, 0::HUGEINT AS device_us FROM hosted
    )
    GROUP BY hour_us, site, job_id, CASE WHEN job_id IS NULL THEN node END
),
pool AS (
    SELECT
        hour_us,
        site,
        coalesce(sum(own_nj) FILTER (WHERE job_id IS NULL), 0)::HUGEINT AS pool_nj,
        CASE
            WHEN count(own_host_nj) = count(*)
                THEN coalesce(sum(own_host_nj) FILTER (WHERE job_id IS NULL), 0)::HUGEINT
        END AS pool_host_nj,
        greatest(sum(device_us), 1)::HUGEINT AS whole_us
    FROM holder
    GROUP BY ALL
),
ranked AS (
    SELECT
        h.*, p.* EXCLUDE (hour_us, site),
        sum(h.device_us) OVER site::HUGEINT AS upper_us,
        upper_us - h.device_us AS lower_us
    FROM holder AS h
    JOIN pool AS p USING (hour_us, site)
    WINDOW site AS (
        PARTITION BY h.hour_us, h.site ORDER BY h.job_id NULLS LAST, h.node
        ROWS UNBOUNDED PRECEDING
    )
),
spread AS (
    SELECT
        *,
        CASE WHEN job_id IS NULL THEN 0 ELSE own_nj END
        + pool_nj * upper_us // whole_us - pool_nj * lower_us // whole_us AS gpu_nj,
        CASE WHEN job_id IS NULL THEN 0 ELSE own_host_nj END
        + pool_host_nj * upper_us // whole_us - pool_host_nj * lower_us // whole_us AS host_nj
    FROM ranked
),
running AS (
    SELECT
        *,
        sum(gpu_nj + host_nj) OVER (
            PARTITION BY hour_us, site ORDER BY job_id NULLS LAST, node ROWS UNBOUNDED PRECEDING
        )::HUGEINT AS it_nj
    FROM spread
)
SELECT
    hour_us,
    r.site,
    job_id,
    node,
    gpu_nj,
    scale_ppm(it_nj, site.pue_ppm) - scale_ppm(it_nj - gpu_nj - host_nj, site.pue_ppm)
        AS facility_nj
FROM running AS r
CROSS JOIN site
