-- Energy by day, whoever held the boards. In: ledger_hour. Out: one row a UTC day.
SELECT
    hour_us - hour_us % us_per_day() AS day_us,
    count(DISTINCT hour_us) AS hours,
    joules(sum(energy_nj)::DOUBLE) AS energy_j,
    sum(covered_us)::DOUBLE / nullif(sum(device_us), 0)::DOUBLE AS coverage
FROM ledger_hour
GROUP BY day_us
ORDER BY day_us
