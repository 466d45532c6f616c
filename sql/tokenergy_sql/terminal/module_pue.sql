-- The PUE of the site in a span: by its meters, and the last declared one.
-- In: site_figure_by, node_hour; $since, $until. Out: one row: measured, declared_ppm.
SELECT
    (
        SELECT max(value)
        FROM site_figure_by('all', since := $since, until := $until)
        WHERE place = 'site' AND figure = 'pue'
    ) AS measured,
    (
        SELECT arg_max(pue_ppm, hour_us)
        FROM node_hour
        WHERE hour_us >= $since AND hour_us < $until
    ) AS declared_ppm
