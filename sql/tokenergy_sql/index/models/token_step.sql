-- What each reading adds to the tokens of its counter: its growth, nothing, or a new beginning.
-- In: token_reading, token_span, token_counter. Out: counter, process (its start; NULL: unknown),
-- run, ts_us, value, quantum, tokens (added since the reading before), extra (what the upper bound
-- has on top), under (how far it reads below what was counted), anomaly (left out), kept (false:
-- the reading is no point of the counter), peak (the counter's steepest growth, tokens a second),
-- plain (its process only grew, from stamp to stamp).
--
-- A process whose start is known counts from zero if the start is inside the job, or after the
-- first reading of the counter. A single low reading is left out: the next one is not below the one
-- before it. Else a process with a known start never restarts: while it reads below its highest,
-- nothing is added. If two readings or more follow its highest, and none of them is below its first
-- one, then the ones above them were too high: they count as the lowest of these. Of a process
-- without a known start, a reading that fell is
--   a restart  if another one follows: it goes on from zero, and what was made before is unknown,
--   left out   if none does: nothing says what it was.
-- A reading is too high, and left out, if the next one falls below it and not below the one before
-- it, and it was no restart: the start is known, the reading is a leap, the values around it are
-- within a tenth, or it rose a hundred times what comes next. A leap that stays adds nothing. What
-- is left out widens the upper bound so that it holds the other meaning too.
WITH
born AS (
    SELECT r.counter, r.process, arg_min(r.run, (r.run, r.ts_us)) AS run
    FROM token_reading AS r
    JOIN (SELECT counter, min(ts_us) AS first_us FROM token_reading GROUP BY counter) AS f
        USING (counter)
    JOIN token_counter AS c USING (counter)
    LEFT JOIN token_span AS span ON span.job_id = c.job_id
    WHERE r.process IS NOT NULL
    GROUP BY r.counter, r.process
    HAVING
        r.process < min(r.ts_us)
        AND (
            r.process >= any_value(span.job_start_us) - us_per_second()
            OR (
                any_value(f.first_us) < min(r.ts_us)
                AND r.process >= any_value(f.first_us) - us_per_second()
            )
        )
),
reading AS (
    SELECT counter, process, run, ts_us, value, quantum, skipped, peak FROM token_reading
    UNION ALL
    SELECT counter, process, run, process AS ts_us, 0, 1, false, NULL FROM born
),
first_look AS (
    SELECT
        *,
        lag(value) OVER in_order AS before,
        lag(ts_us) OVER in_order AS before_us,
        lead(value) OVER in_order IS NULL AS final
    FROM reading
    WINDOW in_order AS (PARTITION BY counter, process ORDER BY run, ts_us, value)
),
-- Most processes only grow: what follows is for those that fell or leapt, or whose stamps repeat.
odd AS (
    SELECT DISTINCT counter, process
    FROM first_look
    WHERE
        value < before OR ts_us <= before_us
        OR token_leap(value - before, ts_us - before_us)
),
once AS (
    SELECT
        r.counter, r.process, r.run, r.ts_us, r.value,
        max(r.quantum) AS quantum,
        bool_and(r.skipped) AS skipped,
        max(r.peak) AS peak
    FROM reading AS r
    SEMI JOIN odd AS o ON o.counter = r.counter AND o.process IS NOT DISTINCT FROM r.process
    GROUP BY ALL
),
looked_at AS (
    SELECT
        *,
        lag(value) OVER in_order AS before,
        lag(ts_us) OVER in_order AS before_us,
        lead(value) OVER in_order AS after,
        lead(value, 2) OVER in_order AS beyond
    FROM once
    WINDOW in_order AS (PARTITION BY counter, process ORDER BY run, ts_us, value)
),
judged AS (
    SELECT
        *,
        value < before AND after >= before AS low,
        value > after AND coalesce(beyond < value, true) AND (
            token_leap(value - before, ts_us - before_us)
            OR (after >= before AND process IS NOT NULL)
            OR (after >= before AND before > 0 AND before >= 10 * (after - before))
            OR (after >= before AND value - before >= 100 * greatest(after, 1))
        ) AS high
    FROM looked_at
),
in_line AS (
    SELECT
        counter, process, run, ts_us, value, quantum, skipped, peak,
        row_number() OVER in_order AS place,
        max(value) OVER (PARTITION BY counter, process) AS top
    FROM judged
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
),
kept AS (
    SELECT
        counter, process, run, ts_us, value, quantum, skipped, peak,
        value AS read,
        before AS last,
        before AS last_read,
        before_us AS last_us,
        final,
        before AS highest,
        NULL::BIGINT AS first_read,
        NULL::BIGINT AS floor,
        true AS plain
    FROM first_look AS l
    ANTI JOIN odd AS o ON o.counter = l.counter AND o.process IS NOT DISTINCT FROM l.process
    UNION ALL
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
        first_read,
        floor,
        false AS plain
    FROM limited
    WINDOW in_order AS (PARTITION BY counter, process ORDER BY place)
),
stepped AS (
    SELECT
        *,
        CASE
            WHEN last IS NULL THEN 'first'
            WHEN token_leap(value - last, ts_us - last_us) THEN 'leap'
            WHEN process IS NOT NULL AND value < highest THEN 'below'
            WHEN value >= last THEN 'growth'
            WHEN process IS NOT NULL OR final THEN 'fall'
            ELSE 'restart'
        END AS what
    FROM kept
),
steepest AS (
    SELECT
        counter,
        coalesce(greatest(
            max(peak),
            -- Of spacings long enough to mean something.
            max(per_second(read - last_read, ts_us - last_us)) FILTER (
                WHERE read >= last_read AND NOT token_leap(read - last_read, ts_us - last_us)
                AND NOT skipped AND ts_us - last_us >= 100000
            )
        ), 0) AS peak
    FROM stepped
    GROUP BY counter
),
counted AS (
    SELECT
        s.*,
        ceil(p.peak * (s.ts_us - s.last_us) / us_per_second())::BIGINT AS unseen,
        p.peak AS steepest,
        CASE
            WHEN what = 'growth' AND process IS NULL THEN value - last
            WHEN what = 'growth' THEN value - highest
            WHEN what = 'restart' THEN value
            ELSE 0
        END AS tokens
    FROM stepped AS s
    JOIN steepest AS p USING (counter)
)
SELECT
    counter, process, run, ts_us, read AS value, quantum, tokens,
    CASE
        WHEN what = 'first' THEN 0
        WHEN what = 'restart' THEN unseen
        WHEN value < last THEN value + unseen
        ELSE value - last - tokens
    END
    + CASE
        WHEN read > floor THEN greatest(read - greatest(coalesce(last_read, 0), floor), 0) ELSE 0
    END AS extra,
    CASE WHEN value < highest AND value >= first_read THEN highest - value ELSE 0 END AS under,
    what IN ('leap', 'below', 'fall') OR read > value AS anomaly,
    true AS kept,
    steepest AS peak,
    plain
FROM counted
UNION ALL
SELECT
    j.counter, j.process, j.run, j.ts_us, j.value, j.quantum, 0,
    greatest(j.value, j.before),
    0,
    true,
    false,
    p.peak,
    false
FROM judged AS j
JOIN steepest AS p USING (counter)
WHERE j.low OR j.high
