-- The energy of the hosts: what each job bears of a node's, and what no job bears.
-- In: ledger_hour, node_watched, site, site_node. Out: hour_us, node, job_id (NULL: no job),
-- device_us, capacity_us, watched_us, host_mw, host_nj, host_low_nj, host_high_nj (bounds).
--
-- A host draws its declared power for as long as one of its boards is watched. That energy is
-- shared by device time: a job bears host_mw x watched_us x device_us / capacity_us, rounded down,
-- where capacity_us is the device time of all boards of the node in the hour. The rest stays with
-- no job, so that the rows of a node add up to host_mw x watched_us. Without a declaration host_nj
-- is NULL; no device time is no energy in any case.
WITH
held AS (
    SELECT hour_us, node, job_id, sum(device_us)::BIGINT AS device_us
    FROM ledger_hour
    WHERE job_id IS NOT NULL
    GROUP BY ALL
),
capacity AS (
    SELECT
        l.hour_us,
        l.node,
        sum(l.device_us)::BIGINT AS capacity_us,
        coalesce(sum(l.device_us) FILTER (WHERE l.job_id IS NULL), 0)::BIGINT AS idle_us
    FROM ledger_hour AS l
    GROUP BY ALL
),
node_hour AS (
    SELECT c.*, w.watched_us, coalesce(n.host_mw, site.host_mw) AS host_mw
    FROM capacity AS c
    JOIN node_watched AS w USING (node)
    CROSS JOIN site
    LEFT JOIN site_node AS n USING (node)
),
borne AS (
    SELECT
        n.hour_us, n.node, h.job_id, h.device_us, n.capacity_us, n.watched_us, n.host_mw,
        CASE
            WHEN h.device_us = 0 THEN 0::HUGEINT
            ELSE n.host_mw::HUGEINT * n.watched_us * h.device_us // n.capacity_us
        END AS host_nj
    FROM held AS h
    JOIN node_hour AS n USING (hour_us, node)
)
SELECT *, host_nj AS host_low_nj, host_nj AS host_high_nj FROM borne
UNION ALL BY NAME
SELECT
    n.hour_us, n.node, NULL AS job_id, n.idle_us AS device_us, n.capacity_us, n.watched_us,
    n.host_mw,
    n.host_mw::HUGEINT * n.watched_us - coalesce(b.host_nj, 0::HUGEINT) AS host_nj,
    n.host_mw::HUGEINT * n.watched_us - coalesce(b.host_nj, 0::HUGEINT) AS host_low_nj,
    n.host_mw::HUGEINT * n.watched_us - coalesce(b.host_nj, 0::HUGEINT) AS host_high_nj
FROM node_hour AS n
LEFT JOIN (
    SELECT hour_us, node, sum(host_nj)::HUGEINT AS host_nj FROM borne GROUP BY ALL
) AS b USING (hour_us, node)
