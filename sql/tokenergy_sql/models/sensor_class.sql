-- What each device's power sensor and counter can tell, and how far off they may be.
-- In: device, device_now, parameters. Out: one row a device. The only place where classes of sensor stand.
--
--   renewed_us  period of the power reading as learned; NULL: not known
--   window_us   what a reading is the mean over; NULL: not known (a pre-Ampere reading and the 1 s
--               average answer to the same call, and an imported log does not say)
--   lag_us      how far a reading is behind on average: half its period and half its window; 0
--               where either is not known
--   seen_ppm    share of the time that readings look at. A100, H100 and their successors look at a
--               quarter of it (arXiv 2312.02741; for those after H100 assumed); whoever samples
--               more rarely than the reading is renewed sees less. A 1 s average sees all of it.
--   gain_ppm    largest relative error: published single cards lie within 5.5 % (the same source)
--   offset_mw   largest error on top, in mW: data centre cards 1.2 W, a consumer card 12.4 W (the
--               same); boards that are not known count as consumer cards
--   limit_mw    highest power limit that there was: what it once was bounds what is not known
--   counter_us  period in which the counter is renewed; NULL: not known
WITH named AS (
    SELECT
        device_id,
        sensor_kind AS sensor,
        learned_us,
        update_us,
        counter_us,
        regexp_matches("name", '\b(A100|A30|A800|[HB][1-8]00|H20|GH200|GB[23]00)\b') AS in_part,
        regexp_matches("name", '\b(P100|V100S?|T4|A2|A10G?|A16|A40|L4|L40S?)\b') AS data_centre
    FROM device_now
),
windowed AS (
    SELECT
        *,
        CASE
            WHEN sensor = 'average_1s' THEN 1000000
            WHEN sensor = 'instant' AND in_part THEN learned_us // 4
            WHEN sensor = 'instant' THEN learned_us
            -- Volta: the reading is instantaneous, and the call has no other meaning.
            WHEN regexp_matches("name", '\b(P100|V100S?)\b') THEN learned_us
        END AS window_us
    FROM named
    JOIN (SELECT device_id, "name" FROM device_now) USING (device_id)
)
SELECT
    device_id,
    learned_us AS renewed_us,
    window_us,
    coalesce(learned_us // 2 + window_us // 2, 0) AS lag_us,
    coalesce(least(1000000, window_us * 1000000 // greatest(learned_us, update_us)), 1000000)
        AS seen_ppm,
    coalesce(update_us, learned_us, 100000) AS spacing_us,
    parameters.error_ppm AS gain_ppm,
    CASE WHEN in_part OR data_centre THEN 1200 ELSE 12500 END AS offset_mw,
    counter_us,
    limit_mw
FROM windowed
JOIN (SELECT device_id, max(limit_mw) AS limit_mw FROM device GROUP BY device_id) USING (device_id)
CROSS JOIN parameters
