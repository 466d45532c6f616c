-- Hosts whose stamps are off UTC, or whose clock was set, by more than $limit_us since $since_us.
-- In: clock, clock_doubt. Out: the columns of `clocks_agree`, one row a node and reason.
WITH
found AS (
    SELECT node, why, from_us, to_us, off_us, set_us, asleep_us
    FROM clock_doubt
    WHERE
        to_us >= $since_us
        AND (
            why = 'runs overlap'
            OR greatest(abs(off_us), abs(set_us), asleep_us) > $limit_us
        )
    UNION ALL
    -- What is too little for a doubt of the index, but more than is asked for.
    SELECT
        node,
        'stamps drift' AS why,
        ts_us AS from_us,
        ts_us AS to_us,
        realtime_us - ts_us AS off_us,
        0 AS set_us,
        0 AS asleep_us
    FROM clock
    WHERE
        ts_us >= $since_us
        AND abs(realtime_us - ts_us) > $limit_us
        AND abs(realtime_us - ts_us) <= us_per_second()
)
SELECT
    node,
    why,
    strftime(make_timestamp(min(from_us)), '%Y-%m-%dT%H:%M:%SZ') AS "from",
    strftime(make_timestamp(max(to_us)), '%Y-%m-%dT%H:%M:%SZ') AS "to",
    count(*) AS notes,
    arg_max(round(seconds(off_us), 3), abs(off_us)) AS off_s,
    arg_max(round(seconds(set_us), 3), abs(set_us)) AS set_s,
    max(round(seconds(asleep_us), 3)) AS asleep_s
FROM found
GROUP BY node, why
ORDER BY ALL
