-- What the ledger spans. In: ledger, ledger_hour. Out: one row; NULL stamps where nothing was
-- metered. longest_us is the length of its segments: the most that those of a row have on average.
SELECT
    min(start_us) AS start_us,
    max(end_us) AS end_us,
    max((end_us - start_us) // coalesce(segments, 1))::BIGINT AS longest_us,
    (SELECT count(DISTINCT node) FROM ledger_hour) AS nodes,
    (SELECT count(DISTINCT device_id) FROM ledger_hour) AS devices,
    (SELECT sum(covered_us)::DOUBLE / nullif(sum(device_us), 0)::DOUBLE FROM ledger_hour)
        AS coverage
FROM ledger
