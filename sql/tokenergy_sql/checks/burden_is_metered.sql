-- Where PUE is measured, burdened jobs and unborne energy are what the building's meters show.
-- fail, hourly
-- In: node_hour, job_hour_index, site_hour. Out: hours in which jobs and idle boards bear another
-- energy than `metered_nj` of their places, and hours in which that of a place, or of all halls
-- together, is not what comes into it by its meters.
--
-- Energy of time for which the meters are not known counts like the rest of the hour. The check
-- `site_sums` holds site_hour against the meters. An hour in which boards and hosts drew nothing
-- has nobody who bears; an hour of which not all nodes have a measured PUE is left out.
WITH
placed AS (
    SELECT hour_us, pue_place AS place, any_value(metered_nj)::HUGEINT AS metered_nj
    FROM node_hour
    -- A modelled PUE has a place too, and no meter.
    WHERE facility_method = 'measured'
    GROUP BY ALL
),
node_sum AS (
    SELECT
        hour_us,
        bool_and(coalesce(facility_method = 'measured', false)) AS measured,
        CASE WHEN count(unborne_facility_nj) = count(*) THEN sum(unborne_facility_nj)::HUGEINT END
            AS unborne_nj,
        sum(coalesce(e_gpu_nj, 0) + coalesce(e_host_nj, 0)) AS it_nj
    FROM node_hour
    GROUP BY ALL
),
job_sum AS (
    SELECT hour_us, coalesce(sum(e_facility_burdened_nj), 0)::HUGEINT AS jobs_nj
    FROM job_hour_index
    GROUP BY ALL
),
place_sum AS (
    SELECT hour_us, sum(metered_nj)::HUGEINT AS metered_nj, count(*) AS places
    FROM placed
    GROUP BY ALL
),
borne AS (
    SELECT
        n.hour_us, p.metered_nj, p.places,
        n.unborne_nj + coalesce(j.jobs_nj, 0) AS borne_nj
    FROM node_sum AS n
    JOIN place_sum AS p USING (hour_us)
    LEFT JOIN job_sum AS j USING (hour_us)
    WHERE n.measured AND n.it_nj >= nanojoules(1000)
),
-- What came into each place in the hour, if its PUE is known for half of it, and is not below 1.
incoming AS (
    SELECT
        hour_us, place,
        arg_max(above::HUGEINT * us_per_hour() // covered_us, covered_us)::HUGEINT AS incoming_nj
    FROM site_hour
    WHERE figure IN ('pue', 'facility') AND covered_us > 0
    GROUP BY ALL
    HAVING bool_or(figure = 'pue' AND covered_us * 2 >= us_per_hour() AND above >= below)
),
halls AS (
    SELECT hour_us, count(DISTINCT place) AS halls
    FROM site_hour
    WHERE figure IN ('pue', 'intake') AND starts_with(place, 'hall:')
    GROUP BY ALL
),
-- Halls share what comes into the site and into none of them: all of them add up to the site.
expected AS (
    SELECT b.hour_us, 'site' AS place, b.metered_nj, i.incoming_nj
    FROM borne AS b
    JOIN incoming AS i ON i.hour_us = b.hour_us AND i.place = 'site'
    LEFT JOIN halls AS h ON h.hour_us = b.hour_us
    WHERE
        EXISTS (FROM placed AS p WHERE p.hour_us = b.hour_us AND p.place = 'site')
        OR b.places = coalesce(h.halls, 0)
    UNION ALL
    SELECT p.hour_us, p.place, p.metered_nj, i.incoming_nj
    FROM placed AS p
    JOIN incoming AS i USING (hour_us, place)
    ANTI JOIN (FROM incoming WHERE place = 'site') AS s ON s.hour_us = p.hour_us
)
SELECT
    strftime(make_timestamp(hour_us), '%Y-%m-%dT%H:00Z') AS hour,
    'jobs and idle boards' AS what,
    borne_nj AS has_nj,
    metered_nj AS expected_nj
FROM borne
WHERE borne_nj <> metered_nj
UNION ALL
SELECT strftime(make_timestamp(hour_us), '%Y-%m-%dT%H:00Z'), place, metered_nj, incoming_nj
FROM expected
WHERE metered_nj <> incoming_nj
ORDER BY ALL
