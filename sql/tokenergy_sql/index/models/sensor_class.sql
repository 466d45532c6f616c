-- What each device's power sensor and counter can measure, and how far off they may be.
-- In: device, device_now, calibration. Out: one row a device, and one with a NULL device_id for
-- unknown devices.
--
-- This is the only place that defines classes of sensors.
--
--   renewed_us  learned period of the power reading; NULL: unknown
--   window_us   time that a reading is the mean of; NULL: unknown (an instantaneous reading and
--               the 1 s average come from the same call, and an imported log does not say which).
--               NVML's reference: the call gives 1 s averages on Ampere and later, except GA100
--               (A100, A30, A800). A log cannot show how often an instantaneous reading is
--               renewed: then it is every 20 ms on P100 and V100, every 100 ms on others, as
--               published (arXiv 2312.02741)
--   lag_us      how far a reading is behind on average: half its period plus half its window; 0
--               where the period was not learned, or the window is unknown
--   seen_ppm    share of the time that readings look at. A100, H100 and their successors look
--               at a quarter of it (arXiv 2312.02741; assumed for those after H100); sampling
--               more rarely than the reading is renewed sees less. A 1 s average sees all of it.
--   limit_mw    highest power limit ever recorded: any past limit may apply to unmetered time
--   counter_us  period in which the counter is renewed; NULL: unknown
--
-- and, for sensor and counter each, the true power behind a reading. A meter shows P (1 + g) + o; g
-- and o are within the card's calibration, or else within its class:
--
--   *_low_ppm, *_high_ppm               lower and upper bound of 1 / (1 + g), rounded outwards
--   *_offset_low_mw, *_offset_high_mw   bounds of o, which is subtracted first
--   *_own_ppm, *_own_mw                 uncertainty of the true power from the card's own g and o,
--                                       at least
--   *_class_ppm, *_class_mw             the part of it that all boards of the name share
--
-- What a log rounds (`device.stamp_step_us`, `power_step_mw`) is added to these.
--
-- A period below zero or above ten minutes is not plausible and counts as unknown.
--
-- Classes. Data centre boards: 5 % (NVML's reference states +-5 % for the last boards it covers;
-- one A100 PCIe is 4.6 % low) and 1.2 W (the same A100). Others, and unknown boards: 5.5 % and 12.5
-- W (RTX 3090 -5.5 to +1.7 %, one RTX 4090 +4.5 % and -12.4 W). Single cards are from arXiv
-- 2312.02741. Nothing published separates a counter's error from its sensor's, so both have the
-- same class.
WITH
latest AS (
    SELECT
        device_id,
        sensor_kind,
        CASE WHEN learned_us BETWEEN 0 AND 600 * us_per_second() THEN learned_us END AS learned_us,
        CASE WHEN update_us BETWEEN 0 AND 600 * us_per_second() THEN update_us END AS update_us,
        CASE WHEN counter_us BETWEEN 0 AND 600 * us_per_second() THEN counter_us END AS counter_us,
        coalesce(stamp_step_us, 0) AS stamp_step_us,
        coalesce(power_step_mw, 0) AS power_step_mw,
        "name"
    FROM device_now
    UNION ALL
    SELECT NULL, NULL, NULL, NULL, NULL, 0, 0, ''
),
named AS (
    SELECT
        device_id,
        "name" AS board,
        sensor_kind AS sensor,
        learned_us,
        update_us,
        counter_us,
        stamp_step_us,
        power_step_mw,
        regexp_matches(board, '\b(A100|A30|A800|[HB][1-8]00|H20|GH200|GB[23]00)\b') AS in_part,
        in_part OR regexp_matches(board, '\b(P100|V100S?|T4|A2|A10G?|A16|A40|L4|L40S?)\b')
            AS data_centre,
        coalesce(sensor, 'unknown') = 'instant' OR (
            coalesce(sensor, 'unknown') = 'unknown'
            AND regexp_matches(board, '\b(P100|V100S?|T4|A100|A30|A800)\b')
        ) AS at_once,
        coalesce(learned_us, CASE
            WHEN NOT at_once THEN NULL
            WHEN regexp_matches(board, '\b(P100|V100S?)\b') THEN 20000
            ELSE 100000
        END) AS period_us
    FROM latest
),
windowed AS (
    SELECT
        *,
        CASE
            WHEN sensor = 'average_1s' THEN us_per_second()
            WHEN at_once AND in_part THEN period_us // 4
            WHEN at_once THEN period_us
        END AS window_us
    FROM named
),
-- A card's own calibration, or else that of its name, or else the class.
known AS (
    SELECT
        n.device_id,
        m.meter,
        coalesce(c.gain_ppm, b.gain_ppm, 0) AS gain_ppm,
        coalesce(c.offset_mw, b.offset_mw, 0) AS offset_mw,
        coalesce(c.gain_uncertainty_ppm, 0) AS own_ppm,
        coalesce(c.offset_uncertainty_mw, 0) AS own_mw,
        CASE
            WHEN c.name IS NOT NULL THEN 0
            ELSE coalesce(b.gain_uncertainty_ppm, CASE WHEN data_centre THEN 50000 ELSE 55000 END)
        END AS class_ppm,
        CASE
            WHEN c.name IS NOT NULL THEN 0
            ELSE coalesce(b.offset_uncertainty_mw, CASE WHEN data_centre THEN 1200 ELSE 12500 END)
        END AS class_mw,
        own_ppm + class_ppm + coalesce(c.reference_ppm, b.reference_ppm, 0) AS within_ppm,
        -- A log that prints whole watts is off by half a watt at most, whatever the card.
        own_mw + class_mw + coalesce(c.reference_mw, b.reference_mw, 0)
        + CASE m.meter WHEN 'sensor' THEN (power_step_mw + 1) // 2 ELSE 0 END AS within_mw,
        coalesce(c.name, b.name) IS NOT NULL AS calibrated
    FROM named AS n
    CROSS JOIN (VALUES ('sensor'), ('counter')) AS m (meter)
    LEFT JOIN calibration AS c
        ON c.scope = 'card' AND c.name = n.device_id AND c.meter = m.meter
    LEFT JOIN calibration AS b
        ON b.scope = 'board' AND b.name = n.board AND b.meter = m.meter
),
error AS (
    SELECT
        *,
        whole_ppm() * whole_ppm() // (whole_ppm() + gain_ppm + within_ppm) AS low_ppm,
        whole_ppm() * whole_ppm() // (whole_ppm() + gain_ppm - within_ppm) + 1 AS high_ppm,
        offset_mw - within_mw AS offset_low_mw,
        offset_mw + within_mw AS offset_high_mw
    FROM known
)
SELECT
    w.device_id,
    w.board,
    learned_us AS renewed_us,
    window_us,
    coalesce(learned_us // 2 + window_us // 2, 0) AS lag_us,
    coalesce(
        least(whole_ppm(), window_us * whole_ppm() // greatest(period_us, update_us)),
        whole_ppm()
    ) AS seen_ppm,
    coalesce(update_us, learned_us, 100000) AS spacing_us,
    stamp_step_us,
    counter_us,
    l.limit_mw,
    s.low_ppm AS sensor_low_ppm,
    s.high_ppm AS sensor_high_ppm,
    s.offset_low_mw AS sensor_offset_low_mw,
    s.offset_high_mw AS sensor_offset_high_mw,
    scale_ppm(scale_ppm(s.own_ppm, s.low_ppm), s.low_ppm) AS sensor_own_ppm,
    scale_ppm(s.own_mw, s.low_ppm) AS sensor_own_mw,
    scale_ppm(scale_ppm(s.class_ppm, s.low_ppm), s.low_ppm) AS sensor_class_ppm,
    scale_ppm(s.class_mw, s.low_ppm) AS sensor_class_mw,
    c.low_ppm AS counter_low_ppm,
    c.high_ppm AS counter_high_ppm,
    c.offset_low_mw AS counter_offset_low_mw,
    c.offset_high_mw AS counter_offset_high_mw,
    scale_ppm(scale_ppm(c.own_ppm, c.low_ppm), c.low_ppm) AS counter_own_ppm,
    scale_ppm(c.own_mw, c.low_ppm) AS counter_own_mw,
    scale_ppm(scale_ppm(c.class_ppm, c.low_ppm), c.low_ppm) AS counter_class_ppm,
    scale_ppm(c.class_mw, c.low_ppm) AS counter_class_mw,
    s.calibrated OR c.calibrated AS calibrated,
    concat_ws(
        '+', CASE WHEN c.calibrated THEN 'counter' END, CASE WHEN s.calibrated THEN 'samples' END
    ) AS calibrated_meters
FROM windowed AS w
JOIN error AS s ON s.device_id IS NOT DISTINCT FROM w.device_id AND s.meter = 'sensor'
JOIN error AS c ON c.device_id IS NOT DISTINCT FROM w.device_id AND c.meter = 'counter'
LEFT JOIN (SELECT device_id, max(limit_mw) AS limit_mw FROM device GROUP BY device_id) AS l
    ON l.device_id = w.device_id
