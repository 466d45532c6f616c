-- The instants at which an allocation of a device begins or ends, each once; and the edges of the
-- hour, where one is less than a second beyond.
-- In: allocation, parameters. Out: device_id, cut_us, part_ppm.
--
-- A job that ends a microsecond after the hour leaves next to nothing in the next hour from which
-- a lower bound could fall. So the hour's edge takes the place of the job's, in proportion
-- (part_ppm): wholly where they meet, not at all where they are a second apart.
WITH
edge AS (
    SELECT device_id, start_us AS cut_us FROM allocation
    UNION
    SELECT device_id, end_us FROM allocation WHERE end_us IS NOT NULL
),
beyond AS (
    SELECT
        e.device_id,
        h.at_us AS cut_us,
        whole_ppm() - min(abs(e.cut_us - h.at_us)) * whole_ppm() // us_per_second() AS part_ppm
    FROM edge AS e
    JOIN (
        SELECT hour_us AS at_us, hour_us - us_per_second() AS from_us, hour_us AS to_us
        FROM parameters
        UNION ALL
        SELECT
            hour_us + us_per_hour(),
            hour_us + us_per_hour(),
            hour_us + us_per_hour() + us_per_second()
        FROM parameters
    ) AS h
        ON e.cut_us > h.from_us AND e.cut_us < h.to_us
    GROUP BY ALL
)
SELECT device_id, cut_us, whole_ppm() AS part_ppm FROM edge
UNION ALL
SELECT * FROM beyond
ANTI JOIN edge USING (device_id, cut_us)
