-- Where samples alone are booked, the bounds of time between sparse readings hold 0 to the limit.
-- fail, hourly
-- In: ledger, power, device, removed_hour. Out: the devices and hours in which they are narrower.
--
-- Sparse are two neighbouring readings more than 1.5 s apart: a sensor saw a second of it.
-- Only segments inside one such pair are looked at: of others a part may be well known. Where
-- readings were removed after they were booked, nothing says how far apart they were.
WITH
left_out AS (
    SELECT hour_us, node FROM removed_hour
),
booked AS (
    SELECT
        device_id, start_us, end_us,
        sum(low_nj) AS low_nj,
        sum(high_nj) AS high_nj
    FROM ledger AS l
    ANTI JOIN left_out AS r ON r.node = l.node AND r.hour_us = hour_of(l.start_us)
    WHERE meter = 'samples'
    GROUP BY device_id, start_us, end_us
),
reading AS (
    SELECT DISTINCT device_id, ts_us
    FROM power
    WHERE power_mw IS NOT NULL AND device_id IN (SELECT device_id FROM booked)
),
pair AS (
    SELECT
        device_id,
        ts_us AS t0,
        lead(ts_us) OVER (PARTITION BY device_id ORDER BY ts_us) AS t1
    FROM reading
),
told AS (
    SELECT device_id, min(limit_mw)::HUGEINT AS limit_mw
    FROM device
    GROUP BY device_id
)
SELECT
    b.device_id,
    strftime(make_timestamp(hour_of(start_us)), '%Y-%m-%dT%H:00Z') AS hour,
    count(*) AS segments,
    max(low_nj) AS largest_low_nj,
    min(high_nj) AS smallest_high_nj
FROM booked AS b
ASOF JOIN pair AS p ON p.device_id = b.device_id AND p.t0 <= b.start_us
LEFT JOIN told AS t ON t.device_id = b.device_id
WHERE
    p.t1 - p.t0 > 3 * us_per_second() // 2
    AND p.t1 >= b.end_us
    AND (low_nj > 0 OR high_nj < coalesce(limit_mw, 1500000) * (end_us - start_us))
GROUP BY ALL
ORDER BY ALL
