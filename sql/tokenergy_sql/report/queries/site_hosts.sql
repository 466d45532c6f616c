-- Hosts of the building's nodes in these hours. In: site_frame, node_hour. Out: one row an hour,
-- and a host_method where node_hour tells it: nodes, known (of them, with energy), energy_j,
-- whole_us (the nodes' hours), watched_us of these, and known_us of the nodes with energy.
WITH sites AS (SELECT count(DISTINCT site) AS sites FROM node_hour)
SELECT
    -- Only some releases have host_method; a name that matches nothing is left out.
    COLUMNS('^(hour_us|host_method)$'),
    count(*) AS nodes,
    count(n.e_host_nj) AS known,
    joules(sum(n.e_host_nj)::DOUBLE) AS energy_j,
    count(*) * us_per_hour() AS whole_us,
    sum(n.watched_us)::BIGINT AS watched_us,
    coalesce(sum(n.watched_us) FILTER (WHERE n.e_host_nj IS NOT NULL), 0)::BIGINT AS known_us
FROM node_hour AS n
CROSS JOIN sites AS s
SEMI JOIN site_frame AS f ON f.hour_us = n.hour_us
WHERE s.sites < 2 OR n.pue_place IS NOT NULL
GROUP BY ALL
