-- The readings of odd processes that count, beside the one before.
-- In: token_judged. Out: as `token_line.sql`; first_read and floor are the first reading of a
-- process whose start is known, and the lowest one after it fell from its highest for good.
--
-- A process with a known start never restarts. If two readings or more follow its highest, and none
-- of them is below its first one, then the ones above them were too high: they count as the lowest
-- of these.
WITH
in_line AS (
    SELECT
        counter, process, run, ts_us, value, quantum, skipped, peak,
        row_number() OVER in_order AS place,
        max(value) OVER (PARTITION BY counter, process) AS top
    FROM token_judged
    WHERE NOT coalesce(low OR high, false)
    WINDOW in_order AS (PARTITION BY counter, process ORDER BY run, ts_us, value)
),
-- Where a known process fell from its highest for good.
ending AS (
    SELECT
        counter, process,
        max(place) FILTER (WHERE value = top) AS top_place,
        arg_min(value, place) FILTER (WHERE ts_us > process) AS first_read
    FROM in_line
    WHERE process IS NOT NULL
    GROUP BY ALL
),
floored AS (
    SELECT
        e.counter, e.process,
        e.top_place,
        any_value(e.first_read) AS first_read,
        CASE WHEN count(*) > 1 AND min(l.value) >= any_value(e.first_read) THEN min(l.value) END
            AS floor
    FROM ending AS e
    LEFT JOIN in_line AS l
        ON l.counter = e.counter AND l.process = e.process AND l.place > e.top_place
    GROUP BY ALL
),
limited AS (
    SELECT
        l.* EXCLUDE (top, value),
        l.value AS read,
        CASE WHEN l.place <= f.top_place THEN least(l.value, f.floor) ELSE l.value END AS value,
        f.first_read,
        f.floor
    FROM in_line AS l
    LEFT JOIN floored AS f USING (counter, process)
)
SELECT
    counter, process, run, ts_us, value, quantum, skipped, peak,
    read,
    lag(value) OVER in_order AS last,
    lag(read) OVER in_order AS last_read,
    lag(ts_us) OVER in_order AS last_us,
    lead(value) OVER in_order IS NULL AS final,
    max(value) OVER (
        PARTITION BY counter, process ORDER BY place
        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ) AS highest,
    NULL::BIGINT AS first,
    first_read,
    floor,
    false AS plain
FROM limited
WINDOW in_order AS (PARTITION BY counter, process ORDER BY place)
