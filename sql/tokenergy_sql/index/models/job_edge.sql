-- The instants at which an allocation of a device begins or ends, each once; and the edges of the
-- hour, where one is less than a second beyond.
-- In: allocation, clock_doubt, parameters. Out: device_id, cut_us, part_ppm, adrift_us.
--
-- Edges come from a scheduler's clock, readings have the stamps of their host. If those two were
-- adrift while the job held the board, its edges may lie as far from where they seem to be
-- (adrift_us, an hour at most: more energy than that of the hour is never in doubt). So may edges
-- that a collector found by asking now and then (edge_doubt_us).
--
-- A job that ends a microsecond after the hour leaves next to nothing in the next hour from which
-- a lower bound could fall. So the hour's edge takes the place of the job's, in proportion
-- (part_ppm): wholly where they meet, not at all where they are a second apart.
WITH
doubt AS (
    SELECT
        node, from_us, to_us,
        least(us_per_hour(), greatest(
            abs(off_us), abs(coalesce(set_us, 0)), abs(coalesce(asleep_us, 0))
        )) AS by_us
    FROM clock_doubt
),
held AS (
    SELECT
        a.device_id,
        a.start_us,
        a.end_us,
        greatest(
            coalesce(max(d.by_us), 0),
            least(us_per_hour(), coalesce(max(a.edge_doubt_us), 0))
        ) AS adrift_us
    FROM allocation AS a
    LEFT JOIN doubt AS d
        ON d.node = a.node
        AND a.start_us <= d.to_us + d.by_us
        AND coalesce(a.end_us, d.from_us) >= d.from_us - d.by_us
    GROUP BY a.device_id, a.node, a.start_us, a.end_us
),
edge AS (
    SELECT device_id, cut_us, max(adrift_us) AS adrift_us
    FROM (SELECT device_id, unnest([start_us, end_us]) AS cut_us, adrift_us FROM held)
    WHERE cut_us IS NOT NULL
    GROUP BY ALL
),
beyond AS (
    SELECT
        e.device_id,
        h.at_us AS cut_us,
        max(e.adrift_us) AS adrift_us,
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
SELECT device_id, cut_us, whole_ppm() AS part_ppm, adrift_us FROM edge
UNION ALL
SELECT device_id, cut_us, part_ppm, adrift_us FROM beyond
ANTI JOIN edge USING (device_id, cut_us)
