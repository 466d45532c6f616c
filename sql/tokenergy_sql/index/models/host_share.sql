-- The energy of the hosts: what each job bears of a node's, and what no job bears.
-- In: ledger_hour, node_watched, host_hour. Out: hour_us, node, job_id (NULL: no job), device_us,
-- capacity_us, watched_us, host_mw (declared), host_method, host_nj, host_low_nj, host_high_nj.
--
-- What a host drew (see host_hour) while one of its boards was watched is shared by device time: a
-- job bears host_nj x device_us / capacity_us, rounded down, where capacity_us is the device time
-- of all boards of the node in the hour. The rest stays with no job, so that the rows of a node add
-- up to host_nj; so do the two bounds. Where it is not known, host_nj and its bounds are NULL; no
-- device time is no energy in any case.
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
    SELECT
        c.*,
        w.watched_us,
        h.declared_mw AS host_mw,
        h.method AS host_method,
        h.host_nj::HUGEINT AS whole_nj,
        -- What is surely drawn of a host is no share of an energy that is not known.
        CASE WHEN whole_nj IS NOT NULL THEN h.host_low_nj END::HUGEINT AS whole_low_nj,
        h.host_high_nj::HUGEINT AS whole_high_nj
    FROM capacity AS c
    JOIN node_watched AS w USING (node)
    JOIN host_hour AS h USING (node, hour_us)
),
borne AS (
    SELECT
        n.* EXCLUDE (idle_us), h.job_id, h.device_us,
        CASE WHEN h.device_us = 0 THEN 0 ELSE whole_nj * h.device_us // n.capacity_us END::HUGEINT
            AS host_nj,
        CASE
            WHEN h.device_us = 0 THEN 0 ELSE whole_low_nj * h.device_us // n.capacity_us
        END::HUGEINT AS host_low_nj,
        CASE
            WHEN h.device_us = 0 THEN 0 ELSE whole_high_nj * h.device_us // n.capacity_us
        END::HUGEINT AS host_high_nj
    FROM held AS h
    JOIN node_hour AS n USING (hour_us, node)
),
added AS (
    SELECT
        hour_us,
        node,
        sum(host_nj)::HUGEINT AS host_nj,
        sum(host_low_nj)::HUGEINT AS host_low_nj,
        sum(host_high_nj)::HUGEINT AS host_high_nj
    FROM borne
    GROUP BY ALL
)
SELECT * EXCLUDE (whole_nj, whole_low_nj, whole_high_nj) FROM borne
UNION ALL BY NAME
SELECT
    n.* EXCLUDE (idle_us, whole_nj, whole_low_nj, whole_high_nj),
    NULL AS job_id,
    n.idle_us AS device_us,
    n.whole_nj - coalesce(b.host_nj, 0) AS host_nj,
    n.whole_low_nj - coalesce(b.host_low_nj, 0) AS host_low_nj,
    n.whole_high_nj - coalesce(b.host_high_nj, 0) AS host_high_nj
FROM node_hour AS n
LEFT JOIN added AS b USING (hour_us, node)
