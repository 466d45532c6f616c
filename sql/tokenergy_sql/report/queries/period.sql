-- What the ledger spans. In: ledger. Out: one row; NULL stamps where nothing was metered.
SELECT
    min(start_us) AS start_us,
    max(end_us) AS end_us,
    max(end_us - start_us) AS longest_us,
    count(DISTINCT node) AS nodes,
    count(DISTINCT device_id) AS devices
FROM ledger
