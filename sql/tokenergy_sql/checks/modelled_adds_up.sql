-- Modelled figures of the building add up, and what is modelled says so.
-- fail, hourly
-- In: site_part, site_hour, node_hour, job_hour_index. Out: the places and hours in which
-- something is not so.
--
-- A modelled PUE is the sum of its parts over the IT energy among them: to 1 nJ a part, as they are
-- rounded. Where a part is not known, neither is the PUE. Its bounds are the sums of theirs, or
-- closer, since IT that is taken off a UPS's input and added again has no error; unknown where any
-- of theirs are. A declared loss is modelled, and counts in no sum of meters. No node has a
-- modelled PUE without a row of it, or while its place has a measured one of half of the hour.
--
-- In an hour in which no node has a measured PUE and some a modelled one, jobs and idle boards bear
-- what each node drew x its PUE: to 1 nJ for each node and job, and 1 ppb of the pool.
WITH
summed AS (
    SELECT
        place, hour_us,
        bool_or(method = 'none') AS unknown,
        sum(energy_nj)::HUGEINT AS energy_nj,
        CASE WHEN count(high_nj) = count(*) THEN sum(high_nj) END::HUGEINT AS high_nj,
        CASE WHEN count(low_nj) = count(*) THEN sum(low_nj) END::HUGEINT AS low_nj,
        sum(energy_nj) FILTER (WHERE part = 'it')::HUGEINT AS it_nj,
        count(*) AS parts,
        min(covered_us) AS least_us,
        max(covered_us) AS most_us
    FROM site_part
    WHERE part <> 'loss'
    GROUP BY ALL
),
pue AS (
    SELECT * FROM site_hour
    WHERE figure = 'pue_modelled'
),
sums AS (
    SELECT
        coalesce(p.place, s.place) AS place,
        coalesce(p.hour_us, s.hour_us) AS hour_us,
        'parts of the modelled PUE' AS what,
        p.above::HUGEINT AS has_nj,
        s.energy_nj AS expected_nj
    FROM pue AS p
    FULL JOIN summed AS s ON s.place = p.place AND s.hour_us = p.hour_us
    WHERE
        p.place IS NULL
        OR s.place IS NULL
        OR s.unknown <> (p.covered_us = 0)
        OR (p.covered_us = 0) <> (p.above IS NULL)
        OR NOT s.unknown AND (
            abs(p.above::HUGEINT - s.energy_nj) > s.parts
            OR abs(p.below::HUGEINT - s.it_nj) > s.parts
            OR s.least_us <> p.covered_us
            OR s.most_us <> p.covered_us
            OR p.above_high IS NULL AND s.high_nj IS NOT NULL
            OR s.high_nj IS NULL AND p.above_high IS NOT NULL
            OR p.above_high::HUGEINT > s.high_nj + s.parts
            OR p.above_low::HUGEINT < s.low_nj - s.parts
        )
),
labels AS (
    SELECT place, hour_us, 'a declared loss that is not modelled' AS what, energy_nj, NULL AS other
    FROM site_part
    WHERE
        part = 'loss' AND method <> 'modelled'
        OR NOT coalesce(low_nj <= energy_nj AND energy_nj <= high_nj, high_nj IS NULL)
    UNION ALL
    SELECT place, hour_us, 'a declared loss among meters', above, NULL
    FROM site_hour
    WHERE
        figure NOT IN ('losses_modelled', 'pue_modelled')
        AND (contains(above_meters, '"loss:') OR contains(below_meters, '"loss:'))
),
nodes AS (
    SELECT n.node AS place, n.hour_us, 'a modelled PUE', n.pue_ppb, NULL
    FROM node_hour AS n
    LEFT JOIN pue AS p ON p.place = n.pue_place AND p.hour_us = n.hour_us
    LEFT JOIN site_hour AS m ON m.place = n.pue_place AND m.hour_us = n.hour_us AND m.figure = 'pue'
    WHERE
        n.facility_method = 'modelled'
        AND (
            n.metered_nj IS NOT NULL
            OR coalesce(p.covered_us, 0) * 2 < us_per_hour()
            OR p.above < p.below
            OR m.covered_us * 2 >= us_per_hour() AND m.above >= m.below
        )
),
drawn AS (
    SELECT
        hour_us,
        sum((e_gpu_nj + e_host_nj)::HUGEINT * pue_ppb::HUGEINT)::HUGEINT // whole_ppb()
            AS expected_nj,
        sum(e_gpu_nj + e_host_nj)::HUGEINT // whole_ppb() + count(*) AS slack_nj,
        sum(unborne_facility_nj)::HUGEINT AS unborne_nj
    FROM node_hour
    GROUP BY ALL
    HAVING
        bool_or(facility_method = 'modelled')
        AND NOT bool_or(facility_method = 'measured')
        AND count(e_gpu_nj + e_host_nj + pue_ppb + unborne_facility_nj) = count(*)
),
job_sum AS (
    SELECT hour_us, sum(e_facility_burdened_nj)::HUGEINT AS jobs_nj, count(*) AS jobs
    FROM job_hour_index
    WHERE device_us > 0
    GROUP BY ALL
    HAVING count(e_facility_burdened_nj) = count(*)
),
borne AS (
    SELECT
        'site' AS place, d.hour_us, 'jobs and idle boards at a modelled PUE',
        d.unborne_nj + coalesce(j.jobs_nj, 0) AS borne_nj, d.expected_nj
    FROM drawn AS d
    LEFT JOIN job_sum AS j USING (hour_us)
    WHERE
        abs(borne_nj - d.expected_nj) > d.slack_nj + coalesce(j.jobs, 0)
        -- A job whose burden is not known leaves the sum unknown.
        AND NOT EXISTS (
            FROM job_hour_index AS i
            WHERE i.hour_us = d.hour_us AND i.e_facility_burdened_nj IS NULL AND i.device_us > 0
        )
)
SELECT
    place,
    strftime(make_timestamp(hour_us), '%Y-%m-%dT%H:00Z') AS hour,
    what,
    has_nj,
    expected_nj
FROM (
    SELECT * FROM sums
    UNION ALL
    SELECT * FROM labels
    UNION ALL
    SELECT * FROM nodes
    UNION ALL
    SELECT * FROM borne
)
ORDER BY ALL
