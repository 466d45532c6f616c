-- Segments with what is known of each, and the blocks inside which counter and samples meet.
-- In: segment, allocation. Out: one row a segment, with the totals of its block.
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
)
SELECT
    * EXCLUDE (slot_counter, slot_integral, slot_us, hour_counter, hour_integral),
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
    coalesce(min(min_mw) OVER (PARTITION BY device_id), 0) AS idle_mw
FROM totalled
