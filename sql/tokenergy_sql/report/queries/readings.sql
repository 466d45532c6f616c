-- What was read. In: power. Out: one row.
SELECT
    count(power_mw) AS power_readings,
    count(energy_mj) AS counter_readings
FROM power
