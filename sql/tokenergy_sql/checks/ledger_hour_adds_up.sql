-- Each row of ledger_hour is the exact sum of its ledger rows.
-- fail, hourly
-- In: ledger, ledger_hour. Out: the rows that differ.
WITH booked AS (
    SELECT
        device_id, node, account, job_id,
        hour_of(start_us) AS hour_us,
        sum(energy_nj) AS energy_nj,
        sum(low_nj) AS low_nj,
        sum(high_nj) AS high_nj,
        sum(device_us) AS device_us,
        sum(covered_us) AS covered_us
    FROM ledger
    GROUP BY ALL
)
SELECT
    coalesce(b.device_id, h.device_id) AS device_id,
    strftime(make_timestamp(coalesce(b.hour_us, h.hour_us)), '%Y-%m-%dT%H:00Z') AS hour,
    coalesce(b.account, h.account) AS account,
    coalesce(b.job_id, h.job_id) AS job_id,
    h.energy_nj AS hour_nj,
    b.energy_nj AS ledger_nj
FROM booked AS b
FULL JOIN ledger_hour AS h
    ON h.device_id = b.device_id AND h.node = b.node AND h.hour_us = b.hour_us
    AND h.account = b.account AND h.job_id IS NOT DISTINCT FROM b.job_id
WHERE
    h.energy_nj IS DISTINCT FROM b.energy_nj
    OR h.low_nj IS DISTINCT FROM b.low_nj
    OR h.high_nj IS DISTINCT FROM b.high_nj
    OR h.device_us IS DISTINCT FROM b.device_us
    OR h.covered_us IS DISTINCT FROM b.covered_us
ORDER BY ALL
