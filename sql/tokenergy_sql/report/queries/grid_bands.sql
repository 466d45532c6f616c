-- How much one group swings by frequency band. In: load_spectrum, load_profile, $kind, $group_id.
-- Out: one row a band: the largest rms of its hours and the hour in which it is, in how many hours
-- it is known, and why not in the others.
SELECT
    low_hz,
    high_hz,
    max(rms_mw) AS largest_mw,
    first(hour_us ORDER BY rms_mw DESC NULLS LAST, hour_us) AS at_us,
    count(rms_mw) AS known,
    count(*) AS hours,
    string_agg(DISTINCT reason, ',' ORDER BY reason) FILTER (WHERE reason <> '') AS reasons
FROM load_spectrum
SEMI JOIN (
    FROM load_profile
    SELECT hour_us, kind, group_id
    WHERE coalesce(as_of_us > hour_us, true)
) USING (hour_us, kind, group_id)
WHERE kind = $kind AND group_id = $group_id
GROUP BY low_hz, high_hz
ORDER BY low_hz, high_hz
