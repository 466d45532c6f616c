-- Which stretches of a counter are of one process, though its start moved with the clock.
-- In: token_stretch. Out: counter, run, stretch, part (those of one process in a row have one
-- number), start_us (of the process), off_us (by how much the stamps of the stretch have to move;
-- 0: not at all), first_us, last_us, first_value, last_value (of the stretch, as read).
--
-- From one run of the collector to the next the clock may have been set, and all starts with it: a
-- single start in each, not after the last reading of the run before, and values that go on are one
-- process. The start moved by as much as the clock: the stamps of the earlier run move to the clock
-- of the later one. Real time passed between the two runs: stamps that would move beyond those of
-- the later run are of another process. Moves of a second are none: pages round.
WITH
of_stretch AS (
    SELECT
        counter, run, stretch,
        min(since_us) AS since_us,
        min(since_us) = max(since_us) AS single,
        min(ts_us) AS first_us,
        max(ts_us) AS last_us,
        arg_min(value, (ts_us, value)) AS first_value,
        arg_max(value, (ts_us, value)) AS last_value
    FROM token_stretch
    WHERE since_us IS NOT NULL
    GROUP BY ALL
),
-- A start that comes back takes turns with another: each is a process of its own.
in_turn AS (
    SELECT counter, run
    FROM (
        SELECT
            counter, run,
            since_us - lag(since_us) OVER (PARTITION BY counter, run ORDER BY since_us)
            <= us_per_second() AS comes_back
        FROM of_stretch
    )
    GROUP BY counter, run
    HAVING bool_or(comes_back)
),
chained AS (
    SELECT
        *,
        coalesce(
            single AND lag(single) OVER in_order
            AND since_us <= lag(last_us) OVER in_order + us_per_second()
            AND first_value >= lag(last_value) OVER in_order
            AND lag(last_us) OVER in_order + since_us - lag(since_us) OVER in_order <= first_us,
            false
        ) AS goes_on
    FROM (
        SELECT s.* REPLACE (s.single AND t.counter IS NULL AS single)
        FROM of_stretch AS s
        LEFT JOIN in_turn AS t USING (counter, run)
    )
    WINDOW in_order AS (PARTITION BY counter ORDER BY run, stretch)
),
linked AS (
    SELECT
        *,
        count(*) FILTER (WHERE NOT goes_on) OVER (
            PARTITION BY counter ORDER BY run, stretch
        ) AS part
    FROM chained
),
judged AS (
    SELECT
        *,
        max(since_us) OVER whole - min(since_us) OVER whole > us_per_second() AS moves,
        first_value(since_us) OVER whole AS first_since_us,
        last_value(since_us) OVER whole AS last_since_us
    FROM linked
    WHERE single
    WINDOW whole AS (
        PARTITION BY counter, part ORDER BY run, stretch
        ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
    )
)
SELECT
    counter, run, stretch, part,
    CASE WHEN moves THEN last_since_us ELSE first_since_us END AS start_us,
    CASE WHEN moves THEN last_since_us - since_us ELSE 0 END AS off_us,
    first_us, last_us, first_value, last_value
FROM judged
