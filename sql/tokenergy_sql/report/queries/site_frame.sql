-- The hours that the energy of the site is drawn of. In: site_hour, $base, $least_us. Out: one row
-- an hour in which a figure of the site is known for at least $least_us: hour_us, in_nj (comes in,
-- less what is given back) and it_nj, NULL if the figure does not have it.
-- $base is pue, or where there is no PUE, facility or it.
SELECT
    hour_us,
    CASE WHEN figure <> 'it' THEN above::DOUBLE END AS in_nj,
    CASE figure WHEN 'pue' THEN below::DOUBLE WHEN 'it' THEN above::DOUBLE END AS it_nj
FROM site_hour
WHERE place = 'site' AND figure = $base AND covered_us >= $least_us AND above IS NOT NULL
