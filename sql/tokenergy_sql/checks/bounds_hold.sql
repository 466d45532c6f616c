-- Booked energy is never negative and always within its bounds; unknown energy is NULL.
-- fail, hourly
-- In: ledger, ledger_hour. Out: the ledger rows that break this.
--
-- A calibrated meter's bounds hold the true energy, which the meter may be far from.
SELECT
    device_id,
    strftime(make_timestamp(start_us), '%Y-%m-%dT%H:%M:%S.%fZ') AS "start",
    account, job_id, energy_nj, low_nj, high_nj
FROM ledger
WHERE (
    energy_nj NOT BETWEEN low_nj AND high_nj
    AND (device_id, hour_of(start_us), meter) NOT IN (
        SELECT (device_id, hour_us, unnest(string_split(calibrated_meters, '+')))
        FROM ledger_hour
        WHERE calibrated_meters IS NOT NULL
    )
)
OR energy_nj < 0
OR low_nj < 0
OR low_nj > high_nj
OR (energy_nj IS NULL) <> (account = 'gap')
OR account NOT IN ('active', 'resident_idle', 'free_idle', 'unattributed', 'gap')
ORDER BY ALL
