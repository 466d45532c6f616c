-- Every node that the lake knows of in an hour, with the site that its boards name.
-- In: device_now, ledger_hour, allocation. Out: node, site (empty: none is named; of several the
-- first).
SELECT node, coalesce(min(site), '') AS site
FROM (
    SELECT node, site FROM device_now
    UNION ALL
    SELECT node, NULL FROM ledger_hour
    UNION ALL
    SELECT node, NULL FROM allocation
)
GROUP BY node
ORDER BY node
