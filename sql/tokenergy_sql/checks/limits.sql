-- No row of the ledger books more than its board can draw: half more than its limit, or 4 kW.
-- fail, hourly
-- In: ledger, device, checked_hour. Out: the devices and hours in which rows do, and the most of it.
--
-- Over short segments a counter that is renewed in steps may show more: a second of the most counts
-- as the step. What jobs share is added up again first.
WITH
limited AS (
    SELECT
        device_id, ts_us,
        greatest(
            CASE WHEN limit_mw BETWEEN 1 AND 4000000 THEN limit_mw END,
            CASE WHEN limit_max_mw BETWEEN 1 AND 4000000 THEN limit_max_mw END
        ) AS highest_mw
    FROM device
),
-- The most that a board can be believed to draw: half more than the highest limit recorded by the
-- end of the hour, or else than the first one recorded; 4 kW if there is none.
most AS (
    SELECT
        h.hour_us,
        l.device_id,
        coalesce(
            max(highest_mw) FILTER (WHERE ts_us < h.hour_us + us_per_hour()),
            arg_min(highest_mw, ts_us)
        ) * 3 // 2 AS most_mw
    FROM checked_hour AS h
    CROSS JOIN limited AS l
    GROUP BY h.hour_us, l.device_id
),
booked AS (
    SELECT device_id, start_us, end_us, sum(energy_nj) AS energy_nj
    FROM ledger
    GROUP BY ALL
)
SELECT
    b.device_id,
    strftime(make_timestamp(hour_of(start_us)), '%Y-%m-%dT%H:00Z') AS hour,
    count(*) AS segments,
    max(energy_nj) AS largest_nj,
    max(energy_nj // (end_us - start_us)) AS largest_mean_mw,
    any_value(coalesce(most_mw, 4000000)) AS most_mw
FROM booked AS b
LEFT JOIN most AS m ON m.device_id = b.device_id AND m.hour_us = hour_of(b.start_us)
WHERE energy_nj > coalesce(most_mw, 4000000) * (end_us - start_us + us_per_second())
GROUP BY ALL
ORDER BY ALL
