-- Each node in an hour: the constants that held, what it drew, and what stays with no job.
-- In: ledger_hour, host_share, pool_share, device_now, site, node_pue, parameters. Out: node_hour.
WITH
drawn AS (
    SELECT
        l.hour_us,
        l.node,
        nullif(min(coalesce(d.site, '')), '') AS site,
        sum(l.energy_nj) AS e_gpu_nj,
        max(l.as_of_us) AS as_of_us
    FROM ledger_hour AS l
    LEFT JOIN device_now AS d USING (device_id)
    GROUP BY ALL
),
unborne AS (
    SELECT
        hour_us,
        node,
        sum(gpu_nj) AS unborne_gpu_nj,
        CASE WHEN count(facility_nj) = count(*) THEN sum(facility_nj) END AS unborne_facility_nj
    FROM pool_share
    WHERE job_id IS NULL
    GROUP BY ALL
)
SELECT
    d.*,
    site.pue_ppm,
    e.pue_ppb,
    e.pue_low_ppb,
    e.pue_high_ppb,
    coalesce(e.pue_method, 'none') AS facility_method,
    e.pue_place,
    e.pue_covered_us,
    e.metered_nj,
    h.host_mw,
    h.watched_us,
    h.capacity_us,
    h.device_us AS idle_us,
    h.host_mw::HUGEINT * h.watched_us AS e_host_nj,
    u.unborne_gpu_nj,
    u.unborne_facility_nj,
    p.index_version,
    p.inputs_digest
FROM drawn AS d
JOIN host_share AS h ON h.hour_us = d.hour_us AND h.node = d.node AND h.job_id IS NULL
JOIN unborne AS u ON u.hour_us = d.hour_us AND u.node = d.node
JOIN node_pue AS e ON e.node = d.node
CROSS JOIN site
CROSS JOIN parameters AS p
