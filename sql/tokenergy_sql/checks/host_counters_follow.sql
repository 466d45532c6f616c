-- The energy of a host's meter follows from what the meter showed, reading by reading.
-- warn, hourly
-- In: host, checked_hour. Out: meters and hours with rows whose energy does not, and the first of
-- them.
--
-- Between two rows of one run and epoch the counter moved by the remainder of its difference by
-- its range: the sum that the collector did is done anew. `docs/host-energy.md` has the rule.
WITH reading AS (
    SELECT
        *,
        lag(energy_uj) OVER same_counter AS last_energy_uj,
        lag(counter_uj) OVER same_counter AS last_counter_uj,
        lag(range_uj) OVER same_counter AS last_range_uj
    FROM host
    SEMI JOIN checked_hour ON checked_hour.hour_us = hour_of(host.ts_us)
    WHERE energy_uj IS NOT NULL AND counter_uj IS NOT NULL AND range_uj IS NOT NULL
    WINDOW same_counter AS (PARTITION BY node, domain, run, epoch ORDER BY ts_us, energy_uj)
)

SELECT
    node,
    domain,
    strftime(make_timestamp(hour_of(ts_us)), '%Y-%m-%dT%H:00Z') AS hour,
    count(*) AS readings,
    strftime(make_timestamp(min(ts_us)), '%Y-%m-%dT%H:%M:%S.%fZ') AS "first",
    arg_min(energy_uj - last_energy_uj, ts_us) AS rose_uj,
    arg_min(counter_uj - last_counter_uj, ts_us) AS counter_rose_uj
FROM reading
WHERE
    range_uj <= 0
    OR range_uj <> last_range_uj
    OR energy_uj - last_energy_uj
    <> (counter_uj::HUGEINT - last_counter_uj + range_uj) % range_uj
GROUP BY ALL
ORDER BY ALL
