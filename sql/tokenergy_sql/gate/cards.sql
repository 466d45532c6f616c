-- Which board metered how much of the energy, and how far off its meter may be.
-- In: ledger, job_index, sensor_class; $job, $model, $since, $until (NULL: any). Out: one row
-- a job, hour, board and method: energy with bounds, and the limits of the meter's own error, which
-- is the same in all hours of the card: gain_ (1 / (1 + g), parts per million) and offset_ (mW).
-- meter is NULL where nothing says that the error is of one meter: a gap was bridged, or a sensor
-- looks at a part of the time. plain_, low_ and high_ are without what counter and samples dispute;
-- other_nj is what the samples say of that.
WITH
metered AS (
    SELECT
        l.job_id,
        hour_of(l.start_us) AS hour_us,
        l.device_id,
        l.energy_nj,
        l.low_nj,
        l.high_nj,
        l.device_us,
        l.integral_nj,
        l.method = 'disputed' AND l.meter = 'counter' AS disputed,
        CASE
            WHEN l.method IN ('counter', 'counter_flagged') OR disputed THEN 'counter'
            WHEN l.method = 'samples' AND c.seen_ppm >= whole_ppm() THEN 'samples'
        END AS meter,
        c.* EXCLUDE (device_id)
    FROM ledger AS l
    JOIN job_index AS j USING (job_id)
    LEFT JOIN sensor_class AS c ON c.device_id = l.device_id
    WHERE
        ($job::VARCHAR IS NULL OR l.job_id = $job::VARCHAR)
        AND ($model::VARCHAR IS NULL OR j.model = $model::VARCHAR)
        AND l.start_us >= coalesce($since::BIGINT, 0)
        AND l.start_us < coalesce($until::BIGINT, 9000000000000000)
        AND l.account <> 'gap'
        AND l.energy_nj IS NOT NULL
)
SELECT
    job_id,
    hour_us,
    device_id,
    meter,
    sum(energy_nj)::HUGEINT AS energy_nj,
    sum(device_us)::BIGINT AS device_us,
    coalesce(sum(energy_nj) FILTER (WHERE NOT disputed), 0)::HUGEINT AS plain_nj,
    coalesce(sum(device_us) FILTER (WHERE NOT disputed), 0)::BIGINT AS plain_us,
    coalesce(sum(low_nj) FILTER (WHERE NOT disputed), 0)::HUGEINT AS low_nj,
    coalesce(sum(high_nj) FILTER (WHERE NOT disputed), 0)::HUGEINT AS high_nj,
    coalesce(sum(integral_nj) FILTER (WHERE disputed), 0)::HUGEINT AS other_nj,
    CASE meter
        WHEN 'counter' THEN any_value(counter_low_ppm)
        WHEN 'samples' THEN any_value(sensor_low_ppm)
    END AS gain_low_ppm,
    CASE meter
        WHEN 'counter' THEN any_value(counter_high_ppm)
        WHEN 'samples' THEN any_value(sensor_high_ppm)
    END AS gain_high_ppm,
    CASE meter
        WHEN 'counter' THEN any_value(counter_offset_low_mw)
        WHEN 'samples' THEN any_value(sensor_offset_low_mw)
    END AS offset_low_mw,
    CASE meter
        WHEN 'counter' THEN any_value(counter_offset_high_mw)
        WHEN 'samples' THEN any_value(sensor_offset_high_mw)
    END AS offset_high_mw
FROM metered
GROUP BY job_id, hour_us, device_id, meter
ORDER BY job_id, hour_us, device_id, meter
