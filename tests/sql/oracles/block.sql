-- Segments with what is known of each, and the blocks inside which counter and samples meet.
-- In: segment, allocation, sensor_class, parameters. Out: one row a segment, with the totals of its
-- block, and what the counter's line leaves open at its start and its end.
--
-- In a slot of 30 s, k = counter / integral over the segments that have both. A block is a slot, cut
-- at those job edges where the meter itself can tell what each side drew: the counter was read
-- within 50 ms, or samples are all there is on both sides.
WITH
job_edge AS (
    SELECT device_id, start_us AS cut_us FROM allocation
    UNION
    SELECT device_id, end_us FROM allocation WHERE end_us IS NOT NULL
),
-- A counter that stood still through a slot in which power was drawn is broken: it is left out.
counted AS (
    SELECT
        * REPLACE (
            CASE
                WHEN sum(counter_nj) OVER slot = 0 AND sum(energy_nj) OVER slot > 0 THEN NULL
                ELSE counter_nj
            END AS counter_nj
        )
    FROM segment
    WINDOW slot AS (PARTITION BY device_id, start_us // 30000000)
),
classed AS (
    SELECT
        s.*,
        s.end_us - s.start_us AS length_us,
        s.start_us // 30000000 AS slot,
        CASE
            WHEN counter_nj IS NOT NULL AND covered_us = s.end_us - s.start_us AND energy_nj > 0
                THEN 'both'
            WHEN counter_nj IS NOT NULL THEN 'counter'
            WHEN covered_us > 0 THEN 'samples'
            ELSE 'none'
        END AS known,
        e.cut_us IS NOT NULL AS at_edge
    FROM counted AS s
    LEFT JOIN job_edge AS e ON e.device_id = s.device_id AND e.cut_us = s.start_us
),
divided AS (
    SELECT
        *,
        -- A block ends where the meter itself divides two jobs, where the counter begins anew, and
        -- where nothing is known: what is behind at an edge is moved over no hole.
        coalesce(
            (at_edge AND lag(counter_off_us) OVER device <= 50000)
            OR (at_edge AND known = 'samples' AND lag(known) OVER device = 'samples')
            OR (counter_nj IS NULL) <> (lag(counter_nj) OVER device IS NULL)
            OR (known = 'none') <> (lag(known) OVER device = 'none')
            OR start_us <> lag(end_us) OVER device,
            false
        )::INT AS divides,
        coalesce(start_us <> lag(end_us) OVER device, false) AS after_hole
    FROM classed
    WINDOW device AS (PARTITION BY device_id ORDER BY start_us)
),
blocked AS (
    SELECT
        *,
        sum(divides) OVER device AS stretch,
        -- Between two neighbouring edges the same jobs hold the device; none spans a hole.
        sum((at_edge OR after_hole)::INT) OVER device AS tenure
    FROM divided
    WINDOW device AS (PARTITION BY device_id ORDER BY start_us)
),
totalled AS (
    SELECT
        *,
        sum(energy_nj) OVER block AS block_integral,
        CASE known
            WHEN 'both' THEN sum(counter_nj) OVER block ELSE sum(energy_nj) OVER block
        END AS block_total,
        sum(energy_nj) OVER (block ORDER BY start_us) AS running,
        sum(counter_nj) OVER slot AS slot_counter,
        sum(energy_nj) OVER slot AS slot_integral,
        sum(length_us) OVER slot AS slot_us,
        sum(counter_nj) OVER hour AS hour_counter,
        sum(energy_nj) OVER hour AS hour_integral
    FROM blocked
    WINDOW
        block AS (PARTITION BY device_id, slot, stretch, known),
        slot AS (PARTITION BY device_id, slot, known),
        hour AS (PARTITION BY device_id, known)
),
-- Between its readings the counter is a line, which is off by at most the time to the nearest
-- reading x the largest power: that of the line, of the hour's readings and, where these do not
-- show all of that time, of the limit.
powered AS (
    SELECT
        t.*,
        coalesce(c.limit_mw, parameters.limit_unknown_mw) * 105 // 100 AS top_mw,
        coalesce(105 * max(max_mw) OVER (PARTITION BY t.device_id) // 100, top_mw) AS most_mw,
        counter_nj // length_us + 1 AS line_mw,
        NOT after_hole AND lag(counter_nj) OVER device IS NOT NULL AS joined,
        CASE WHEN joined THEN lag(counter_off_us) OVER device ELSE counter_off_us + length_us END
            AS away_us,
        hour_us,
        hour_us + 3600000000 AS hour_end_us
    FROM totalled AS t
    LEFT JOIN sensor_class AS c ON c.device_id = t.device_id
    CROSS JOIN parameters
    WINDOW device AS (PARTITION BY t.device_id ORDER BY start_us)
),
lined AS (
    SELECT
        *,
        away_us * greatest(
            CASE
                WHEN away_us >= least(start_us - hour_us, hour_end_us - start_us) THEN top_mw
            END,
            most_mw, line_mw, CASE WHEN joined THEN lag(line_mw) OVER device END
        ) AS start_line_nj,
        counter_off_us * greatest(
            CASE
                WHEN counter_off_us >= least(end_us - hour_us, hour_end_us - end_us) THEN top_mw
            END,
            most_mw, line_mw, CASE WHEN lead(joined) OVER device THEN lead(line_mw) OVER device END
        ) AS end_line_nj,
        sum((known NOT IN ('both', 'counter') OR after_hole)::INT) OVER device AS reach
    FROM powered
    WINDOW device AS (PARTITION BY device_id ORDER BY start_us)
),
silent AS (
    SELECT
        *,
        CASE WHEN lag(end_us) OVER block < start_us
            THEN start_line_nj + lag(end_line_nj) OVER block
        END AS silence_nj
    FROM lined
    WINDOW block AS (PARTITION BY device_id, slot, stretch, known ORDER BY start_us)
),
spanned AS (
    SELECT
        *,
        coalesce(sum(silence_nj) OVER block, 0) AS silences_nj,
        first_value(start_line_nj) OVER block AS left_nj,
        last_value(end_line_nj) OVER block AS right_nj,
        max(counter_off_us) OVER block AS furthest_us
    FROM silent
    WINDOW block AS (
        PARTITION BY device_id, slot, stretch, known ORDER BY start_us
        ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
    )
),
-- Inside a block: by the part of its samples that is passed.
opened AS (
    SELECT
        *,
        CASE
            WHEN known <> 'both' THEN NULL
            WHEN running = energy_nj AND NOT joined AND furthest_us <= 1000000 THEN 0
            ELSE left_nj + silences_nj
                + (running - energy_nj) * right_nj::HUGEINT // block_integral
                - (running - energy_nj) * left_nj::HUGEINT // block_integral
        END AS from_nj,
        CASE
            WHEN known <> 'both' THEN NULL
            ELSE left_nj + silences_nj
                + running * right_nj::HUGEINT // block_integral
                - running * left_nj::HUGEINT // block_integral
        END AS to_nj
    FROM spanned
)
SELECT
    * EXCLUDE (
        slot_counter, slot_integral, slot_us, hour_counter, hour_integral, hour_us, hour_end_us
    ),
    CASE
        WHEN known <> 'both' THEN NULL
        -- A slot cut short by the edge of the watch says little: take the hour's.
        WHEN slot_us >= 5000000 THEN slot_counter::DOUBLE / slot_integral::DOUBLE
        ELSE hour_counter::DOUBLE / hour_integral::DOUBLE
    END AS k,
    -- What the board drew in the second up to the right cut, at most and at least as it was seen.
    max(max_mw) OVER (
        PARTITION BY device_id ORDER BY end_us RANGE BETWEEN 1000000 PRECEDING AND CURRENT ROW
    ) AS recent_max_mw,
    coalesce(min(min_mw) OVER (PARTITION BY device_id), 0) AS idle_mw,
    -- Where the counter alone is known: what is open where the samples end and begin.
    CASE WHEN known IN ('both', 'counter') THEN coalesce(first_value(from_nj IGNORE NULLS) OVER (
        PARTITION BY device_id, reach ORDER BY start_us
        ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING
    ), 0) ELSE 0 END::BIGINT AS open_start_nj,
    CASE WHEN known IN ('both', 'counter') THEN coalesce(last_value(to_nj IGNORE NULLS) OVER (
        PARTITION BY device_id, reach ORDER BY start_us
        ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ), 0) ELSE 0 END::BIGINT AS open_end_nj
FROM opened
