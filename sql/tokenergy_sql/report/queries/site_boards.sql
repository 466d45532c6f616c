-- Where the energy of the building's boards went in these hours.
-- In: site_frame, ledger_hour, node_hour, job_index. Out: account, work (serving, training, other
-- or none), energy_j (NULL: nothing metered it), device_us.
-- Where boards name several sites, the meters speak for the nodes whose PUE they measured.
WITH
sites AS (SELECT count(DISTINCT site) AS sites FROM node_hour),
node AS (
    SELECT n.node, n.hour_us
    FROM node_hour AS n
    SEMI JOIN site_frame AS f ON f.hour_us = n.hour_us
    CROSS JOIN sites AS s
    WHERE s.sites < 2 OR n.pue_place IS NOT NULL
)
SELECT
    l.account,
    CASE
        WHEN l.job_id IS NULL THEN 'none'
        WHEN j.workload = 'inference' THEN 'serving'
        WHEN j.workload = 'training' THEN 'training'
        ELSE 'other'
    END AS work,
    joules(sum(l.energy_nj)::DOUBLE) AS energy_j,
    sum(l.device_us)::BIGINT AS device_us
FROM ledger_hour AS l
SEMI JOIN node AS n ON n.node = l.node AND n.hour_us = l.hour_us
LEFT JOIN (SELECT job_id, any_value(workload) AS workload FROM job_index GROUP BY job_id) AS j
    ON j.job_id = l.job_id
GROUP BY l.account, work
ORDER BY l.account, work
