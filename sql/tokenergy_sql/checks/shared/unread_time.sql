-- Where single readings are looked at: around what samples alone book, and where more time may be
-- known than is booked.
-- In: booked_run, known_limit, board_reading, board_edge. Out: device_id, hour_us, from_us, to_us.
WITH
in_part AS (
    SELECT m.*, coalesce(b.booked_us, 0) AS booked_us
    FROM known_limit AS m
    LEFT JOIN (
        SELECT device_id, hour_us, sum(b_us - a_us) AS booked_us FROM booked_run GROUP BY ALL
    ) AS b USING (device_id, hour_us)
    WHERE coalesce(b.booked_us, 0) < us_per_hour()
)
SELECT device_id, hour_us, a_us AS from_us, b_us AS to_us FROM booked_run WHERE meter = 'samples'
UNION ALL
SELECT m.device_id, m.hour_us, m.hour_us AS from_us, m.hour_us + us_per_hour() AS to_us
FROM in_part AS m
LEFT JOIN board_reading AS r USING (device_id, hour_us)
-- The nearest readings beyond the hour, as far as power can be known up to them.
LEFT JOIN board_edge AS b
    ON b.device_id = m.device_id AND b.hour_us = m.hour_us - us_per_hour()
LEFT JOIN board_edge AS a
    ON a.device_id = m.device_id AND a.hour_us = m.hour_us + us_per_hour()
WHERE
    coalesce(
        m.booked_us < r.last_us - r.first_us
        + CASE
            WHEN r.first_us - b.last_us <= m.limit_us THEN r.first_us - m.hour_us
            ELSE 0
        END
        + CASE
            WHEN a.first_us - r.last_us <= m.limit_us
                THEN m.hour_us + us_per_hour() - r.last_us
            ELSE 0
        END,
        true
    )
