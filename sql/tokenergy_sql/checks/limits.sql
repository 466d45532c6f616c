-- The ledger books no more than a board can draw: half more than its limit, or 4 kW.
-- warn, hourly
-- In: ledger, most_power. Out: the devices and hours with such slots, and the largest.
--
-- Slots of 30 s are looked at: inside of one, a counter's total is spread in the samples' shape. A
-- counter that is renewed in steps may show more for a moment: a second of the most is the step.
WITH
booked AS (
    SELECT
        device_id,
        hour_of(start_us) AS hour_us,
        start_us // (30 * us_per_second()) AS slot,
        sum(energy_nj) AS energy_nj,
        sum(device_us) AS booked_us
    FROM ledger
    WHERE energy_nj IS NOT NULL
    GROUP BY ALL
)
SELECT
    b.device_id,
    strftime(make_timestamp(b.hour_us), '%Y-%m-%dT%H:00Z') AS hour,
    count(*) AS slots,
    max(energy_nj) AS largest_nj,
    max(energy_nj // greatest(booked_us, 1)) AS largest_mean_mw,
    any_value(coalesce(most_mw, 4000000)) AS most_mw
FROM booked AS b
LEFT JOIN most_power AS m ON m.device_id = b.device_id AND m.hour_us = b.hour_us
WHERE energy_nj > coalesce(most_mw, 4000000) * (booked_us + us_per_second())
GROUP BY ALL
ORDER BY ALL
