-- What holds of each board in an hour that is booked: what it can draw, and how far apart two
-- readings may be for power to be known between them.
-- In: booked_run, board_reading, device. Out: device_id, hour_us, most_mw, limit_us.
--
-- From what was known by the hour's end, or else from what was recorded first.
WITH
told AS (
    SELECT
        r.device_id,
        r.hour_us,
        coalesce(
            arg_max(d.update_us, (d.ts_us, d.update_us))
            FILTER (WHERE d.ts_us < r.hour_us + us_per_hour()),
            arg_min(d.update_us, (d.ts_us, d.update_us)),
            0
        ) AS update_us,
        coalesce(
            max(greatest(d.limit_mw, d.limit_max_mw))
            FILTER (WHERE d.ts_us < r.hour_us + us_per_hour()),
            arg_min(greatest(d.limit_mw, d.limit_max_mw), d.ts_us)
        ) AS limit_mw
    FROM (
        SELECT device_id, hour_us FROM booked_run
        UNION
        SELECT device_id, hour_us
        FROM board_reading
        SEMI JOIN booked_run USING (hour_us)
    ) AS r
    LEFT JOIN (
        SELECT
            device_id, ts_us, update_us,
            CASE WHEN limit_mw BETWEEN 1 AND 4000000 THEN limit_mw END AS limit_mw,
            CASE WHEN limit_max_mw BETWEEN 1 AND 4000000 THEN limit_max_mw END AS limit_max_mw
        FROM device
    ) AS d ON d.device_id = r.device_id
    GROUP BY r.device_id, r.hour_us
)
SELECT
    device_id,
    hour_us,
    coalesce(limit_mw * 3 // 2, 4000000) AS most_mw,
    least(600 * us_per_second(), greatest(
        3 * update_us,
        CASE
            WHEN update_us >= us_per_second() // 2 THEN 10 * us_per_second()
            ELSE 3 * us_per_second() // 2
        END
    )) AS limit_us
FROM told
