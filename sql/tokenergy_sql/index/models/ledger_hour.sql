-- The ledger of one hour, added up by device, account and job: the base of all sums over time.
-- In: ledger, sensor_class, parameters. Out: ledger_hour.
--
-- own_nj and class_nj are the parts of high_nj - low_nj that come from the uncertainty of the
-- meters' gain and offset: 2 (energy x ppm + time x mW), of the time that a sensor looks at.
WITH
added AS (
    SELECT
        device_id,
        node,
        (SELECT hour_us FROM parameters) AS hour_us,
        account,
        job_id,
        sum(energy_nj) AS energy_nj,
        sum(low_nj) AS low_nj,
        sum(high_nj) AS high_nj,
        coalesce(sum(energy_nj) FILTER (WHERE meter = 'counter'), 0) AS by_counter_nj,
        coalesce(sum(device_us) FILTER (WHERE meter = 'counter'), 0) AS by_counter_us,
        coalesce(sum(energy_nj) FILTER (WHERE meter = 'samples'), 0) AS by_samples_nj,
        coalesce(sum(device_us) FILTER (WHERE meter = 'samples'), 0) AS by_samples_us,
        sum(device_us)::BIGINT AS device_us,
        sum(covered_us)::BIGINT AS covered_us,
        sum(counter_nj) FILTER (WHERE k IS NOT NULL) AS counter_nj,
        sum(integral_nj) FILTER (WHERE k IS NOT NULL) AS counted_integral_nj,
        max(max_gap_us) AS max_gap_us,
        string_agg(DISTINCT method, '+' ORDER BY method) AS method,
        bool_or(attribution = 'shared_estimate') AS shared,
        max(end_us) AS as_of_us,
        array_to_string(list_sort(list_distinct(flatten(
            list(string_split(reasons, ',')) FILTER (WHERE reasons IS NOT NULL)
        ))), ',') AS reasons
    FROM ledger
    GROUP BY ALL
)
SELECT
    a.* EXCLUDE (by_counter_nj, by_counter_us, by_samples_nj, by_samples_us, reasons),
    coalesce(2 * (
        scale_ppm(by_counter_nj, counter_own_ppm) + by_counter_us * counter_own_mw
        + scale_ppm(
            scale_ppm(by_samples_nj, sensor_own_ppm) + by_samples_us * sensor_own_mw, seen_ppm
        )
    ), 0) AS own_nj,
    coalesce(2 * (
        scale_ppm(by_counter_nj, counter_class_ppm) + by_counter_us * counter_class_mw
        + scale_ppm(
            scale_ppm(by_samples_nj, sensor_class_ppm) + by_samples_us * sensor_class_mw, seen_ppm
        )
    ), 0) AS class_nj,
    coalesce(c.calibrated, false) AS calibrated,
    a.reasons,
    nullif(c.calibrated_meters, '') AS calibrated_meters
FROM added AS a
LEFT JOIN sensor_class AS c USING (device_id)
