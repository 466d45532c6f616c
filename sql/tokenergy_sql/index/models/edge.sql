-- What a meter does not know at a job's edge: how far it is behind, and its bounds.
-- In: block (segments that touch an edge), job_edge, sensor_class, parameters. Out: one row a
-- device and edge.
--
-- With E(t) the true energy up to t and M(t) what the meter shows at an edge, E - M is the energy
-- that was drawn and is not in the meter yet. It is between least_nj and most_nj, and shift_nj is
-- the best guess:
--
--   counter  renewed every q: it is q/2 behind on average. least 0; most q x the largest power seen
--            in the second before, times k where the samples fall short of the counter; the limit
--            where readings are means over more than q.
--   samples  a reading is the mean over a window w that ended up to a period T ago. Over the window
--            E - M = integral of (1 - v/w) P(end - v) dv: w/2 x the reading, if power was level.
--            With P between idle and limit and its mean known, the extremes have the high power all
--            at the end or all at the beginning. The age adds 0 to T x the largest power, T/2 x the
--            reading on average; and linear interpolation may misplace half a spacing of readings.
--
-- What is uncertain on the left of an edge is uncertain on its right with the opposite sign. Not so
-- where a sensor sees a part p = w/T of the time: what it did not see of a job counts as idle in
-- the lower bound and as the limit in the upper one (see `booking/parts.py`). Up to t let S be the
-- energy inside windows, s their time and B the integral of the readings, with D = S - p B and
-- d = s - p t. A job from a to b drew p (B(b) - B(a)) + D(b) - D(a) in the seen part, and
-- (1 - p) (b - a) - (d(b) - d(a)) of its time was not seen. So an edge leaves uncertain
--
--   below  D - idle d:   0 to w (1 + p) x the largest power
--   above  D - limit d:  -w x the limit to w x the 5 % above it
--
-- since of a reading on display p of its time is in B and all of its window in S, and a window may
-- be running. Half a spacing of readings adds p of what it misplaces; of what is moved, p counts.
--
-- An hour is booked from its own segments alone, and does not know what was drawn beyond its edges.
-- So within a second of an edge of the hour the power takes the limit's place, in proportion
-- (`open_ppm`), and what is moved across is drawn within the hour. An edge at, before and after the
-- hour's edge then has the same bounds, whichever hour books it.
--
-- The ledger moves shift_nj from the right of the edge to the left of it where the meter divides
-- there (see `booking/parts.py`), never more than the right side has. Elsewhere it is 0. left_* and
-- right_* are how much too narrow the bounds of the energy on either side may be without the edge.
--
-- Where no reading of the counter divides, the line between two of its readings may be off as well
-- (`left_open_nj`, `right_open_nj`; see `booking/lines.py`), in either direction. So may the edge
-- itself, where the clocks of scheduler and host were adrift: by that time at the highest power.
WITH
beside AS (
    SELECT
        j.device_id,
        j.cut_us,
        j.part_ppm AS edge_ppm,
        j.cut_us - hour_us AS since_us,
        us_per_second() - least(
            us_per_second(), since_us, hour_us + us_per_hour() - j.cut_us
        ) AS open_ppm,
        l.end_mw AS here_mw,
        coalesce(l.k, r.k, 1) AS k,
        coalesce(l.counter_off_us, 0) AS off_us,
        coalesce(l.idle_mw, r.idle_mw) AS idle_mw,
        coalesce(c.limit_mw, parameters.limit_unknown_mw) AS limit_mw,
        coalesce(l.recent_max_mw, r.max_mw)::BIGINT AS before_mw,
        greatest(l.recent_max_mw, r.max_mw)::BIGINT AS around_mw,
        c.* EXCLUDE (device_id, limit_mw),
        CASE
            WHEN 'both' IN (l.known, r.known) AND coalesce(l.counter_off_us, 0) <= 50000
                THEN 'counter'
            ELSE 'samples'
        END AS meter,
        l.known = r.known AND r.divides = 1 AND l.block_integral > 0 AND r.block_integral > 0
        AND (l.known = 'samples' OR (l.known = 'both' AND l.counter_off_us <= 50000))
            AS movable,
        r.block_total AS movable_nj,
        coalesce(l.known IN ('both', 'counter') AND l.counter_off_us <= 50000, false) AS was_read,
        j.adrift_us::HUGEINT * (
            coalesce(c.limit_mw, parameters.limit_unknown_mw) * 105 // 100
        ) AS adrift_nj,
        adrift_nj + CASE WHEN was_read THEN 0 ELSE coalesce(l.open_end_nj, 0) END AS left_open_nj,
        adrift_nj + CASE WHEN was_read THEN 0 ELSE coalesce(r.open_start_nj, 0) END
            AS right_open_nj
    FROM job_edge AS j
    LEFT JOIN block AS l ON l.device_id = j.device_id AND l.end_us = j.cut_us
    LEFT JOIN block AS r ON r.device_id = j.device_id AND r.start_us = j.cut_us
    LEFT JOIN sensor_class AS c ON c.device_id = j.device_id
    CROSS JOIN parameters
    WHERE l.device_id IS NOT NULL OR r.device_id IS NOT NULL
    -- If two nodes claim one device at once, two segments end or begin at an edge: one row even so,
    -- since the edges of all devices are taken by their order.
    QUALIFY
        row_number() OVER (
            PARTITION BY j.device_id, j.cut_us
            ORDER BY l.start_us DESC NULLS LAST, r.end_us NULLS LAST, l.end_mw, r.max_mw
        ) = 1
),
ranged AS (
    SELECT
        *,
        -- No board passes its limit by more than 5 %.
        limit_mw * 105 // 100 AS top_mw,
        scale_ppm(top_mw::HUGEINT, open_ppm) AS beyond_mw,
        greatest(beyond_mw, CASE
            -- A mean over longer than the counter's period does not show what was drawn in it.
            WHEN before_mw IS NULL OR (meter = 'counter' AND window_us > counter_us)
                THEN limit_mw * 105 // 100
            ELSE before_mw * 105 // 100
        END)::BIGINT AS peak_mw,
        greatest(beyond_mw, coalesce(around_mw, limit_mw))::BIGINT AS near_mw,
        coalesce(window_us, us_per_second()) AS span_us,
        -- Interpolation may misplace half a spacing; a rounded stamp, all that it was rounded by.
        spacing_us + 2 * coalesce(stamp_step_us, 0) AS apart_us,
        coalesce(here_mw, near_mw) AS level_mw
    FROM beside
),
-- The share of a window, in ppm, that the highest power can have filled.
filled AS (
    SELECT
        *,
        greatest(0, least(
            whole_ppm(),
            (level_mw - idle_mw)::HUGEINT * whole_ppm() // greatest(top_mw - idle_mw, 1)
        )) AS full_ppm
    FROM ranged
),
bounded AS (
    SELECT
        *,
        CASE meter
            WHEN 'counter'
                THEN coalesce(
                    (here_mw * least(coalesce(counter_us // 2, 0), since_us) * k)::BIGINT, 0
                )
            ELSE coalesce(here_mw::BIGINT * least(coalesce(lag_us, 0), since_us), 0)
        END AS guess_nj,
        CASE meter
            WHEN 'counter' THEN -(off_us * near_mw)
            ELSE scale_ppm(coalesce(window_us, 0) * (
                top_mw::HUGEINT * full_ppm * full_ppm
                + idle_mw::HUGEINT * (whole_ppm() - full_ppm) * (whole_ppm() + full_ppm)
            ) // (2 * whole_ppm() * whole_ppm()), whole_ppm() - open_ppm)
            - near_mw::HUGEINT * apart_us // 2
        END AS least_nj,
        CASE meter
            WHEN 'counter'
                THEN
                    (
                        coalesce(counter_us, 100000)
                        * least(peak_mw * greatest(k, 1), greatest(top_mw, peak_mw))
                    )::BIGINT
                    + off_us * near_mw
            ELSE scale_ppm(span_us * (
                top_mw::HUGEINT * full_ppm * (2 * whole_ppm() - full_ppm)
                + idle_mw::HUGEINT * (whole_ppm() - full_ppm) * (whole_ppm() - full_ppm)
            ) // (2 * whole_ppm() * whole_ppm()), whole_ppm() - open_ppm)
            + scale_ppm(span_us * top_mw::HUGEINT // 2, open_ppm)
            + coalesce(renewed_us, spacing_us) * peak_mw::HUGEINT
            + near_mw::HUGEINT * apart_us // 2
        END AS most_nj
    FROM filled
),
moved AS (
    SELECT
        *,
        CASE WHEN movable THEN least(guess_nj, movable_nj) ELSE 0 END::BIGINT AS shift_nj,
        CASE meter WHEN 'counter' THEN whole_ppm() ELSE seen_ppm END::BIGINT AS part_ppm,
        scale_ppm(shift_nj::HUGEINT, part_ppm) AS moved_nj,
        near_mw::HUGEINT * apart_us * part_ppm // (2 * whole_ppm()) AS smeared_nj
    FROM bounded
)
SELECT
    device_id,
    cut_us,
    shift_nj,
    scale_ppm(greatest(0, CASE part_ppm
        WHEN whole_ppm() THEN shift_nj - least_nj
        ELSE moved_nj + smeared_nj
    END)::HUGEINT + left_open_nj, edge_ppm)::BIGINT AS left_below_nj,
    -- An edge beyond the hour widens upper bounds where it is.
    CASE
        WHEN edge_ppm < whole_ppm() THEN 0
        WHEN part_ppm = whole_ppm() THEN left_open_nj + greatest(0, most_nj - shift_nj)
        ELSE
            left_open_nj
            + greatest(0, window_us::HUGEINT * (top_mw - limit_mw) + smeared_nj - moved_nj)
    END::BIGINT AS left_above_nj,
    scale_ppm(greatest(0, CASE part_ppm
        WHEN whole_ppm() THEN most_nj - shift_nj
        ELSE
            window_us::HUGEINT * (whole_ppm() + part_ppm) * (near_mw * 105 // 100)
            // whole_ppm()
            + smeared_nj - moved_nj
    END)::HUGEINT + right_open_nj, edge_ppm)::BIGINT AS right_below_nj,
    CASE
        WHEN edge_ppm < whole_ppm() THEN 0
        WHEN part_ppm = whole_ppm() THEN right_open_nj + greatest(0, shift_nj - least_nj)
        ELSE
            right_open_nj
            + greatest(0, window_us::HUGEINT * limit_mw + smeared_nj + moved_nj)
    END::BIGINT AS right_above_nj
FROM moved
