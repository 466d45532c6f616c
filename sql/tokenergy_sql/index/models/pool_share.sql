-- Energy that no job held, spread over the capacity of the site: jobs and idle boards.
-- In: ledger_hour, host_share, device_now, node_pue. Out: one row a site, hour and job, and one a
-- site, hour and node for its idle boards: hour_us, site, job_id, node, gpu_nj, facility_nj, each
-- with the part of the pool.
--
-- In each site and hour the pool P (energy that no job held, and its part of the hosts) is shared
-- by device time, by the telescoping rule: floor(P W / T) minus the same for the predecessor, where
-- W is the running sum of device time and T that of all boards, held or not. So a job bears what
-- its part of the capacity stands for, whoever else was there. The part of idle boards stays
-- without a job. Jobs come in the order of their ids, then idle boards in that of their nodes; all
-- together they add up to what the site drew, to the unit.
--
-- Facility energy: with a declared PUE, it is PUE times the running sum, rounded down, and again
-- the differences of it. With a measured one, what the meters of a place say (metered_nj) is shared
-- in that proportion, so that jobs and idle boards add up to the meters, to the unit, whatever else
-- the place holds that no collector sees. A job then bears its own energy at the PUE of its nodes,
-- and its part of the pool at the pool's mean PUE. Several sites share a place by the same rule.
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
-- Nanojoules times the PUE in parts per billion.
part AS (
    SELECT p.*, p.it_nj * e.pue_ppb::HUGEINT AS nj_ppb, e.pue_place, e.metered_nj
    FROM (
        SELECT hour_us, site, node, job_id, gpu_nj AS it_nj FROM drawn
        UNION ALL
        SELECT hour_us, site, node, job_id, host_nj::HUGEINT FROM hosted
    ) AS p
    JOIN node_pue AS e USING (node)
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
-- Several sites share what a place metered by what they drew there.
place AS (
    SELECT
        hour_us,
        site,
        pue_place,
        any_value(metered_nj)::HUGEINT AS metered_nj,
        CASE WHEN count(nj_ppb) = count(*) THEN sum(nj_ppb)::HUGEINT END AS nj_ppb
    FROM part
    GROUP BY ALL
),
shared AS (
    SELECT
        *,
        greatest(sum(scaled_mj(nj_ppb)) OVER (PARTITION BY hour_us, pue_place)::HUGEINT, 1)
            AS whole_mj,
        sum(scaled_mj(nj_ppb)) OVER (
            PARTITION BY hour_us, pue_place ORDER BY site ROWS UNBOUNDED PRECEDING
        )::HUGEINT AS upper_mj,
        CASE
            WHEN metered_nj IS NULL THEN nj_ppb // whole_ppb()
            ELSE
                metered_nj * upper_mj // whole_mj
                - metered_nj * (upper_mj - scaled_mj(nj_ppb)) // whole_mj
        END AS facility_nj
    FROM place
),
facility AS (
    SELECT
        hour_us,
        site,
        count(metered_nj) > 0 AS metered,
        CASE WHEN count(facility_nj) = count(*) THEN sum(facility_nj)::HUGEINT END AS whole_nj
    FROM shared
    GROUP BY ALL
),
own AS (
    SELECT hour_us, site, job_id, sum(nj_ppb)::HUGEINT AS own_nj_ppb
    FROM part
    WHERE job_id IS NOT NULL
    GROUP BY ALL
),
pool_pue AS (
    SELECT
        hour_us,
        site,
        coalesce(
            sum(nj_ppb)::HUGEINT // nullif(sum(it_nj)::HUGEINT, 0), 0
        )::HUGEINT AS pool_ppb
    FROM part
    WHERE job_id IS NULL
    GROUP BY ALL
),
spread AS (
    SELECT
        r.*,
        pool_nj * upper_us // whole_us - pool_nj * lower_us // whole_us AS pool_gpu_nj,
        pool_host_nj * upper_us // whole_us - pool_host_nj * lower_us // whole_us AS pool_hosts_nj,
        CASE WHEN job_id IS NULL THEN 0 ELSE own_nj END + pool_gpu_nj AS gpu_nj,
        CASE WHEN job_id IS NULL THEN 0 ELSE own_host_nj END + pool_hosts_nj AS host_nj,
        coalesce(o.own_nj_ppb, 0)::HUGEINT
        + (pool_gpu_nj + pool_hosts_nj)::HUGEINT * coalesce(p.pool_ppb, 0)::HUGEINT AS nj_ppb
    FROM ranked AS r
    LEFT JOIN own AS o USING (hour_us, site, job_id)
    LEFT JOIN pool_pue AS p USING (hour_us, site)
),
running AS (
    SELECT
        s.*, f.metered, f.whole_nj,
        greatest(scaled_mj(sum(nj_ppb) OVER (PARTITION BY hour_us, site)), 1) AS whole_mj,
        sum(nj_ppb) OVER (
            PARTITION BY hour_us, site ORDER BY job_id NULLS LAST, node ROWS UNBOUNDED PRECEDING
        )::HUGEINT AS upper_ppb,
        upper_ppb - nj_ppb AS lower_ppb
    FROM spread AS s
    JOIN facility AS f USING (hour_us, site)
)
SELECT
    hour_us,
    site,
    job_id,
    node,
    gpu_nj,
    CASE
        WHEN host_nj IS NULL OR whole_nj IS NULL THEN NULL
        WHEN metered
            THEN
                whole_nj * scaled_mj(upper_ppb) // whole_mj
                - whole_nj * scaled_mj(lower_ppb) // whole_mj
        ELSE upper_ppb // whole_ppb() - lower_ppb // whole_ppb()
    END AS facility_nj
FROM running
