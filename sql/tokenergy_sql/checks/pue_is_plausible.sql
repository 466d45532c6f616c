-- IT takes no more than the building does: no PUE is below 1 by more than the meters may be off.
-- warn, hourly
-- In: site_hour. Out: the places and hours of which it is.
--
-- Where all meters have an accuracy, the bounds decide: even the most that the building can have
-- taken is less than the least that IT took. Where some have none: a PUE below 0.98. Then a unit or
-- a transformer ratio is wrong, a meter of what is bought is missing in the site file, or one of IT
-- counts what others count too. The row says which meters were added.
SELECT
    place,
    strftime(make_timestamp(hour_us), '%Y-%m-%dT%H:00Z') AS hour,
    round(above / below::DOUBLE, 4) AS pue,
    seconds(covered_us) AS known_s,
    above_meters,
    below_meters
FROM site_hour
WHERE
    figure = 'pue'
    AND coalesce(above_high < below_low, above < 0.98::DOUBLE * below)
ORDER BY ALL
