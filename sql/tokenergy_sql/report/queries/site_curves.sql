-- What declared losses of the site lose by their curves, where no two meters show it.
-- In: site_frame, site_hour. Out: one row: energy_j, NULL if it is known in no hour; covered, the
-- share of the hours for which it is known.
SELECT
    joules(sum(s.above)) AS energy_j,
    sum(s.covered_us) / (us_per_hour() * count(*)) AS covered
FROM site_frame AS f
LEFT JOIN site_hour AS s
    ON s.hour_us = f.hour_us AND s.place = 'site' AND s.figure = 'losses_modelled'
