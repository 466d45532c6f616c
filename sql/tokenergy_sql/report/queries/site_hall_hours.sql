-- Job-hours of which all boards are in one hall. In: ledger_hour, node_hall (node, hall, from_us,
-- to_us: hours). Out: job_id, hour_us, hall.
SELECT
    l.job_id, l.hour_us,
    min(n.hall) AS hall
FROM (SELECT DISTINCT job_id, hour_us, node FROM ledger_hour WHERE job_id IS NOT NULL) AS l
LEFT JOIN node_hall AS n
    ON n.node = l.node AND l.hour_us >= n.from_us AND l.hour_us < n.to_us
GROUP BY l.job_id, l.hour_us
HAVING count(n.hall) = count(*) AND count(DISTINCT n.hall) = 1
