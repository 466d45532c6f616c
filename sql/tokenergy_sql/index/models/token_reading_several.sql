-- The readings of counters of which several starts were seen, by the process that counted them.
-- In: token_stretch, token_moved. Out: the columns of `token_reading.sql`.
--
-- A process is known by its start. Starts within a second are one process: what a page says of it
-- may waver. But where a run of the collector saw several such starts, and the values do not grow
-- from one to the next, they are processes of their own (two workers behind one address). Starts
-- that moved with the clock are one process too, and so are its stamps moved (`token_moved.sql`).
WITH
started AS (
    SELECT
        r.* EXCLUDE (since_us, stretch)
        REPLACE (r.ts_us + coalesce(m.off_us, 0) AS ts_us),
        coalesce(m.start_us, r.since_us) AS since_us
    FROM token_stretch AS r
    LEFT JOIN token_moved AS m USING (counter, run, stretch)
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
