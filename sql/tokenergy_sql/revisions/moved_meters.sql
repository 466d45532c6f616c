-- Meters that say something else in two revisions, with the hours in which they do.
-- In: before, after (rows of meter_hour in two revisions). Out: one row a meter: its unit, these
-- hours, what it counted in them before and after, and for how long that was known.
WITH
of_meter AS (
    SELECT 'before' AS side, * EXCLUDE (index_version) FROM before
    UNION ALL
    SELECT 'after', * EXCLUDE (index_version) FROM after
),
own AS (
    SELECT side, meter_id, hour_us, COLUMNS(* EXCLUDE (side, meter_id, hour_us))::VARCHAR
    FROM of_meter
),
moved_hour AS (
    SELECT meter_id, hour_us
    FROM (SELECT DISTINCT * EXCLUDE (side) FROM own)
    GROUP BY meter_id, hour_us
    HAVING count(*) > 1
    UNION
    SELECT meter_id, hour_us FROM own GROUP BY meter_id, hour_us HAVING count(DISTINCT side) = 1
)
SELECT
    meter_id,
    any_value(unit) AS unit,
    list(DISTINCT hour_us ORDER BY hour_us) AS hours_us,
    (sum(amount) FILTER (WHERE side = 'before'))::DOUBLE AS amount_before,
    (sum(amount) FILTER (WHERE side = 'after'))::DOUBLE AS amount_after,
    coalesce(sum(covered_us) FILTER (WHERE side = 'before'), 0)::BIGINT AS known_before_us,
    coalesce(sum(covered_us) FILTER (WHERE side = 'after'), 0)::BIGINT AS known_after_us
FROM of_meter
JOIN moved_hour USING (meter_id, hour_us)
GROUP BY meter_id
ORDER BY meter_id
