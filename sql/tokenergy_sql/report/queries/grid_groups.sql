-- The load of each site and rack, and of the jobs that swing most, over what the report covers.
-- In: load_profile, load_span (at the boundary of the boards); $until_us (the end of what is
-- covered), $most (how many jobs). Out: one row a group: the largest of its hours and spans, the
-- mean of its hours (of its spans if it has no hours), in how many of them a ramp is known, why not
-- in the others, and where the largest is.
WITH loads AS (
    SELECT
        hour_us AS from_us, hour_us + us_per_hour() AS until_us, false AS spanned,
        kind, group_id, step_us, period_us, limit_hz, metered, cells, mean_mw, max_mw, swing_mw,
        swing_share, battery_nj, up_1s_mw, down_1s_mw, up_10s_mw, down_10s_mw, segments,
        reason_codes, emulated
    FROM load_profile
    -- Readings at the first instant of an hour alone end the hour before: there is nothing to know.
    WHERE kind IN ('site', 'rack', 'job') AND coalesce(as_of_us > hour_us, true)
    UNION ALL
    SELECT
        from_us, until_us, true AS spanned,
        kind, group_id, step_us, period_us, limit_hz, metered, cells, mean_mw, max_mw, swing_mw,
        swing_share, battery_nj, up_1s_mw, down_1s_mw, up_10s_mw, down_10s_mw, segments,
        reason_codes, emulated
    FROM load_span
    WHERE kind IN ('site', 'rack', 'job') AND boundary = 'boards' AND until_us <= $until_us
),

known AS (
    SELECT
        *,
        struct_pack(from_us := from_us, until_us := until_us) AS place,
        greatest(up_1s_mw, down_1s_mw) AS ramp_1s,
        greatest(up_10s_mw, down_10s_mw) AS ramp_10s,
        CASE
            WHEN greatest(up_1s_mw, down_1s_mw) IS NOT NULL THEN NULL
            WHEN metered = 0 THEN 'not_metered'
            WHEN cells = 0 THEN 'no_cells'
            WHEN us_per_second() < period_us THEN 'ramp_below_period'
            WHEN us_per_second() % step_us <> 0 THEN 'ramp_not_whole_cells'
            ELSE 'ramp_no_cells'
        END AS why_1s,
        CASE
            WHEN greatest(up_10s_mw, down_10s_mw) IS NOT NULL THEN NULL
            WHEN metered = 0 THEN 'not_metered'
            WHEN cells = 0 THEN 'no_cells'
            WHEN 10 * us_per_second() < period_us THEN 'ramp_below_period'
            WHEN 10 * us_per_second() % step_us <> 0 THEN 'ramp_not_whole_cells'
            ELSE 'ramp_no_cells'
        END AS why_10s,
        -- Hours and spans show the same time: only one of both is in a mean.
        spanned = bool_and(spanned) OVER (PARTITION BY kind, group_id) AS counts
    FROM loads
),

groups AS (
    SELECT
        kind,
        group_id,
        count(*) AS profiles,
        sum(mean_mw * cells * step_us) FILTER (WHERE counts)
        / nullif(sum(cells::DOUBLE * step_us) FILTER (WHERE counts), 0) AS average_mw,
        max(max_mw) FILTER (WHERE counts) AS highest_mw,
        max(max_mw) AS peak_mw,
        first(place ORDER BY max_mw DESC NULLS LAST, from_us, until_us) AS peak_at,
        max(swing_mw) AS largest_swing_mw,
        max(swing_share) AS largest_swing_share,
        max(battery_nj)::DOUBLE AS largest_battery_nj,
        max(ramp_1s) AS ramp_1s_mw,
        count(ramp_1s) AS ramp_1s_known,
        first(place ORDER BY ramp_1s DESC NULLS LAST, from_us, until_us) AS ramp_1s_at,
        max(up_1s_mw) >= max(ramp_1s) AS ramp_1s_up,
        string_agg(DISTINCT why_1s, ',' ORDER BY why_1s) AS ramp_1s_why,
        max(ramp_10s) AS ramp_10s_mw,
        count(ramp_10s) AS ramp_10s_known,
        first(place ORDER BY ramp_10s DESC NULLS LAST, from_us, until_us) AS ramp_10s_at,
        max(up_10s_mw) >= max(ramp_10s) AS ramp_10s_up,
        string_agg(DISTINCT why_10s, ',' ORDER BY why_10s) AS ramp_10s_why,
        min(limit_hz) AS least_limit_hz,
        sum(segments) AS all_segments,
        bool_or(emulated) AS any_emulated,
        array_to_string(
            list_sort(list_distinct(flatten(list(string_split(reason_codes, ','))))), ','
        ) AS codes
    FROM known
    GROUP BY kind, group_id
)

SELECT
    *,
    average_mw / highest_mw AS load_factor,
    count(*) OVER (PARTITION BY kind) AS total
FROM groups
QUALIFY
    kind <> 'job'
    OR row_number() OVER (
        PARTITION BY kind ORDER BY largest_swing_mw DESC NULLS LAST, group_id
    ) <= $most
ORDER BY
    list_position(['site', 'rack', 'job'], kind),
    CASE WHEN kind = 'job' THEN largest_swing_mw ELSE peak_mw END DESC NULLS LAST, group_id
