-- Hours of which a place has a measured and a modelled PUE, each for half of the hour or more.
-- In: site_hour; $since, $until (microseconds; NULL: all hours). Out: one row a place and hour:
-- place, hour_us, and of both the sums above and below the line, nJ.
SELECT
    m.place,
    m.hour_us,
    m.above::DOUBLE AS measured_above,
    m.below::DOUBLE AS measured_below,
    p.above::DOUBLE AS modelled_above,
    p.below::DOUBLE AS modelled_below
FROM site_hour AS m
JOIN site_hour AS p
    ON p.place = m.place AND p.hour_us = m.hour_us AND p.figure = 'pue_modelled'
WHERE
    m.figure = 'pue'
    AND least(m.covered_us, p.covered_us) * 2 >= us_per_hour()
    AND m.hour_us >= coalesce($since, m.hour_us)
    AND m.hour_us < coalesce($until, m.hour_us + 1)
