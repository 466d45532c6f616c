-- Swings of hours and of spans, the largest first; images of faster swings have no size, and end
-- the list. Harmonics of a larger swing are only counted.
-- In: load_swing, load_span_swing; $kinds (those that are wanted), $boundaries (likewise),
-- $until_us (the end of what is covered), $most. Out: one row a swing, `total` of them in all,
-- beside `harmonics` that are left out.
WITH swings AS (
    SELECT
        hour_us AS from_us, hour_us + us_per_hour() AS until_us, 'boards' AS boundary,
        kind, group_id, seen_hz, centre_hz, width_hz, rms_mw, rms_share, above_background,
        reason_codes
    FROM load_swing
    UNION ALL
    SELECT
        from_us, until_us, boundary,
        kind, group_id, seen_hz, centre_hz, width_hz, rms_mw, rms_share, above_background,
        reason_codes
    FROM load_span_swing
    WHERE until_us <= $until_us
),

counted AS (
    SELECT
        *,
        list_contains(string_split(reason_codes, ','), 'harmonic') AS harmonic,
        count(*) FILTER (WHERE harmonic) OVER () AS harmonics,
        count(*) FILTER (WHERE NOT harmonic) OVER () AS total
    FROM swings
    WHERE list_contains($kinds, kind) AND list_contains($boundaries, boundary)
)

SELECT * EXCLUDE (harmonic)
FROM counted
WHERE NOT harmonic
ORDER BY
    rms_mw DESC NULLS LAST, list_position(['site', 'rack', 'node', 'job'], kind), group_id,
    from_us, until_us, boundary, seen_hz
LIMIT $most
