-- What the meters say of each segment: energy, method, bounds.
-- In: block, edge, sensor_class, parameters. Out: one row a segment, two where samples
-- cover a part of it: what was covered, and what is missing.
--
-- The meter's total is spread in the samples' shape: with S the running sum of integrals inside a
-- block, I its total and D the meter's (the counter's, or I itself), a segment is booked
-- floor(S D / I) minus the same of its predecessor, so a block adds up to D exactly. At a job's edge
-- D takes what the meter was behind at its right end and gives what it was behind at its left end
-- (see `edge.sql`): what one side gives the other takes, so the sum stays the meter's.
WITH
shifted AS (
    SELECT
        b.*,
        b.block_total + sum(coalesce(r.shift_nj, 0) - coalesce(l.shift_nj, 0)) OVER block
            AS block_booked,
        sum(coalesce(r.left_below_nj, 0) + coalesce(l.right_below_nj, 0)) OVER tenure AS edges_below,
        sum(coalesce(r.left_above_nj, 0) + coalesce(l.right_above_nj, 0)) OVER tenure AS edges_above
    FROM block AS b
    LEFT JOIN edge AS l ON l.device_id = b.device_id AND l.cut_us = b.start_us
    LEFT JOIN edge AS r ON r.device_id = b.device_id AND r.cut_us = b.end_us
    WINDOW
        block AS (PARTITION BY b.device_id, b.slot, b.stretch, b.known),
        tenure AS (PARTITION BY b.device_id, b.tenure)
),
metered AS (
    SELECT
        s.*,
        CASE known
            WHEN 'counter' THEN counter_nj
            WHEN 'none' THEN NULL
            ELSE CASE WHEN block_integral = 0 THEN 0 ELSE
                running * block_booked // block_integral
                - (running - energy_nj) * block_booked // block_integral
            END
        END AS booked_nj,
        CASE known
            WHEN 'counter' THEN 'counter_gap'
            WHEN 'samples' THEN 'samples'
            WHEN 'none' THEN 'missing'
            ELSE CASE
                WHEN abs(k - 1) <= 0.02 THEN 'counter'
                WHEN abs(k - 1) <= 0.05 THEN 'counter_flagged'
                ELSE 'disputed'
            END
        END AS method,
        CASE
            WHEN known IN ('both', 'counter') THEN 'counter'
            WHEN known = 'samples' THEN 'samples'
            ELSE 'none'
        END AS meter,
        coalesce(c.limit_mw, parameters.limit_unknown_mw) AS limit_mw,
        c.* EXCLUDE (device_id, limit_mw)
    FROM shifted AS s
    CROSS JOIN parameters
    LEFT JOIN (SELECT device_id AS told FROM sensor_class) ON told = s.device_id
    JOIN sensor_class AS c ON c.device_id IS NOT DISTINCT FROM told
),
-- What is true if a counter said the booked energy, and if a sensor said the samples' integral (where
-- they are all there is: the booked energy); and if a sensor said the lowest power of the hour.
corrected AS (
    SELECT
        *,
        CASE known WHEN 'samples' THEN booked_nj ELSE energy_nj END AS sampled_nj,
        coalesce(doubt_nj, 0) AS off_nj,
        coalesce(sparse_us, 0) AS thin_us,
        greatest(0, booked_nj - counter_offset_high_mw * length_us)::HUGEINT
            * counter_low_ppm // 1000000 AS counter_low_nj,
        greatest(0, booked_nj - counter_offset_low_mw * length_us)::HUGEINT
            * counter_high_ppm // 1000000 + 1 AS counter_high_nj,
        greatest(0, sampled_nj - off_nj - sensor_offset_high_mw * covered_us)::HUGEINT
            * sensor_low_ppm // 1000000 AS sensor_low_nj,
        greatest(0, sampled_nj + off_nj - sensor_offset_low_mw * covered_us)::HUGEINT
            * sensor_high_ppm // 1000000 + 1 AS sensor_high_nj,
        greatest(0, idle_mw - sensor_offset_high_mw)::HUGEINT * sensor_low_ppm // 1000000
            AS least_mw
    FROM metered
),
-- Bounds by the class of meter. What a sensor did not look at lies between idling and the limit.
seen AS (
    SELECT
        *,
        CASE
            WHEN method = 'disputed' THEN least(counter_low_nj, sensor_low_nj)
            WHEN known = 'both' THEN counter_low_nj
            WHEN known = 'counter' THEN
                least(counter_low_nj, sensor_low_nj + least_mw * (length_us - covered_us))
            WHEN known = 'samples' THEN least(sensor_low_nj,
                (sensor_low_nj * seen_ppm + least_mw * covered_us * (1000000 - seen_ppm))
                    // 1000000)
            ELSE 0
        END AS low_nj,
        CASE
            WHEN method = 'disputed' THEN greatest(counter_high_nj, sensor_high_nj)
            WHEN known = 'both' THEN counter_high_nj
            WHEN known = 'counter' THEN greatest(counter_high_nj,
                sensor_high_nj + limit_mw::HUGEINT * (length_us - covered_us))
            WHEN known = 'samples' THEN greatest(sensor_high_nj,
                (sensor_high_nj * seen_ppm + limit_mw::HUGEINT * covered_us * (1000000 - seen_ppm))
                    // 1000000)
            ELSE limit_mw::HUGEINT * length_us
        END AS high_nj
    FROM corrected
),
-- Between sparse readings a board may have drawn anything.
bounded AS (
    SELECT
        * REPLACE (
            CASE
                WHEN known = 'samples' AND thin_us > 0
                    THEN (covered_us - thin_us)::HUGEINT * low_nj // covered_us
                ELSE low_nj
            END AS low_nj,
            CASE
                WHEN known = 'samples' AND thin_us > 0 THEN greatest(
                    high_nj,
                    (covered_us - thin_us)::HUGEINT * high_nj // covered_us + 1
                    + limit_mw::HUGEINT * thin_us
                )
                ELSE high_nj
            END AS high_nj
        )
    FROM seen
),
-- What is not known at the edges widens the bounds of all that lies between them, in proportion, so
-- that no lower bound falls below 0 and the sums over a job hold the whole of it.
summed AS (
    SELECT
        *,
        CASE WHEN known = 'none' THEN 0 ELSE low_nj END AS low_weight,
        CASE WHEN known = 'none' THEN 0 ELSE high_nj END AS high_weight,
        sum(low_weight) OVER tenure AS low_total,
        sum(high_weight) OVER tenure AS high_total,
        sum(low_weight) OVER (tenure ORDER BY start_us) AS low_running,
        sum(high_weight) OVER (tenure ORDER BY start_us) AS high_running,
        least(edges_below, low_total) AS give_nj,
        edges_above AS take_nj
    FROM bounded
    WINDOW tenure AS (PARTITION BY device_id, tenure)
)
SELECT
    device_id, node, start_us, end_us, known, method, meter, k, booked_nj, max_gap_us, reasons,
    energy_nj AS integral_nj,
    counter_nj,
    covered_us,
    CASE WHEN known = 'samples' THEN covered_us ELSE length_us END AS booked_us,
    CASE WHEN low_total = 0 THEN low_nj ELSE
        low_nj - (low_running * give_nj // low_total
            - (low_running - low_weight) * give_nj // low_total)
    END AS low_nj,
    CASE WHEN high_total = 0 THEN high_nj ELSE
        high_nj + high_running * take_nj // high_total
            - (high_running - high_weight) * take_nj // high_total
    END AS high_nj
FROM summed
UNION ALL
SELECT
    device_id, node, start_us, end_us, 'none', 'missing', 'none', NULL, NULL, max_gap_us,
    reasons,
    0, NULL, 0,
    length_us - covered_us,
    0,
    limit_mw::HUGEINT * (length_us - covered_us)
FROM summed
WHERE known = 'samples' AND covered_us < length_us
