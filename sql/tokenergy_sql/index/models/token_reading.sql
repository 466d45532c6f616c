-- The readings of each counter by the process that counted them.
-- In: token_seen. Out: its columns without since_us, and process (its start, us UTC; NULL if
-- unknown).
--
-- A process is known by its start. Starts within a second are one process: what a page says of it
-- may waver. But where a run of the collector saw several such starts, and the values do not grow
-- from one to the next, they are processes of their own (two workers behind one address). From one
-- run to the next the clock may have been set, and all starts with it: a single start in each run
-- that is not after the last reading of the run before, with values that go on, is one process.
WITH
-- Most counters have one start or none: what follows is for the others.
several AS (
    SELECT counter
    FROM token_seen
    GROUP BY counter
    HAVING min(since_us) < max(since_us)
),
reading AS (
    SELECT
        p.* EXCLUDE (since_us),
        -- A page may lack the start for once.
        coalesce(
            since_us,
            last_value(since_us IGNORE NULLS) OVER (
                PARTITION BY counter ORDER BY run, ts_us, value, since_us NULLS FIRST
                ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
            ),
            first_value(since_us IGNORE NULLS) OVER (
                PARTITION BY counter ORDER BY run, ts_us, value, since_us NULLS FIRST
                ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING
            )
        ) AS since_us
    FROM token_seen AS p
    SEMI JOIN several USING (counter)
),
of_run AS (
    SELECT
        counter, run,
        min(since_us) AS since_us,
        min(since_us) = max(since_us) AS single,
        max(ts_us) AS last_us,
        arg_min(value, (ts_us, value)) AS first_value,
        arg_max(value, (ts_us, value)) AS last_value
    FROM reading
    WHERE since_us IS NOT NULL
    GROUP BY ALL
),
chained AS (
    SELECT
        *,
        coalesce(
            single AND lag(single) OVER runs
            AND since_us <= lag(last_us) OVER runs + us_per_second()
            AND first_value >= lag(last_value) OVER runs,
            false
        ) AS goes_on
    FROM of_run
    WINDOW runs AS (PARTITION BY counter ORDER BY run)
),
linked AS (
    SELECT
        counter, run, single,
        count(*) FILTER (WHERE NOT goes_on) OVER (PARTITION BY counter ORDER BY run) AS part,
        since_us
    FROM chained
),
chain AS (
    SELECT
        counter, run, single,
        first_value(since_us) OVER (PARTITION BY counter, part ORDER BY run) AS first_us
    FROM linked
),
started AS (
    SELECT
        r.* EXCLUDE (since_us),
        CASE WHEN l.single THEN l.first_us ELSE r.since_us END AS since_us
    FROM reading AS r
    LEFT JOIN chain AS l USING (counter, run)
),
start AS (
    SELECT
        counter, since_us,
        coalesce(
            since_us - lag(since_us) OVER (PARTITION BY counter ORDER BY since_us)
            > us_per_second(),
            true
        ) AS apart
    FROM (SELECT DISTINCT counter, since_us FROM started WHERE since_us IS NOT NULL)
),
numbered AS (
    SELECT
        counter, since_us,
        count(*) FILTER (WHERE apart) OVER (PARTITION BY counter ORDER BY since_us) AS near
    FROM start
),
near_start AS (
    SELECT
        *,
        min(since_us) OVER (PARTITION BY counter, near) AS first_us,
        count(*) OVER (PARTITION BY counter, near) AS starts
    FROM numbered
),
followed AS (
    SELECT
        s.*,
        n.first_us,
        n.starts,
        s.value < lag(s.value) OVER (
            PARTITION BY s.counter, n.first_us ORDER BY s.run, s.ts_us, s.value
        ) AS fell
    FROM started AS s
    LEFT JOIN near_start AS n USING (counter, since_us)
),
alternating AS (
    SELECT counter, first_us
    FROM (
        SELECT
            counter, first_us, run,
            bool_or(fell) AS fell,
            min(since_us) < max(since_us) AS several
        FROM followed
        WHERE starts > 1
        GROUP BY ALL
    )
    GROUP BY ALL
    HAVING bool_or(fell) AND bool_or(several)
)
SELECT
    f.* EXCLUDE (since_us, first_us, starts, fell),
    CASE WHEN a.counter IS NULL THEN f.first_us ELSE f.since_us END AS process
FROM followed AS f
LEFT JOIN alternating AS a USING (counter, first_us)
UNION ALL BY NAME
SELECT
    p.* EXCLUDE (since_us),
    s.since_us AS process
FROM token_seen AS p
ANTI JOIN several USING (counter)
JOIN (SELECT counter, min(since_us) AS since_us FROM token_seen GROUP BY counter) AS s
    USING (counter)
