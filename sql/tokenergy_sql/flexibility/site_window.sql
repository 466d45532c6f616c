-- What the site's own meters counted, by hour.
-- In: site_hour; $since, $until. Out: one row an hour: hour_us, nj, low_nj, high_nj, covered_us.
SELECT hour_us, above AS nj, above_low AS low_nj, above_high AS high_nj, covered_us
FROM site_hour
WHERE
    place = 'site'
    AND figure = 'facility'
    AND above IS NOT NULL
    AND hour_us >= $since
    AND hour_us < $until
ORDER BY hour_us
