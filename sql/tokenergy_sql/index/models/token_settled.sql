-- The settled days of long jobs, as few points: the others say nothing of tokens on other days.
-- In: token_counter, token_seen, token_start, token_odd, token_step, token_span. Out: the columns
-- of token_point, settled_from_us, settled_to_us (the days of the job that are settled).
--
-- Settled are the days after the first reading of every counter of the job and before its last
-- one, if each counter has one process and only grew. What comes later changes nothing in them.
-- Other days and the job as a whole depend on few points in them: those beside other days, those
-- around the job's end, and the steepest growth of the counter. One more day is not settled yet, so
-- that readings which come a day late find none that is. A counter without a metric may turn out
-- to be another one, once a second series is there: it is not settled.
WITH
counter AS (
    SELECT
        c.*,
        t.since_us,
        t.several OR c.metric IS NULL OR o.counter IS NOT NULL AS unsettled,
        p.peak,
        s.first_us,
        s.last_us,
        span.job_start_us,
        span.job_end_us
    FROM token_counter AS c
    JOIN token_start AS t USING (counter)
    JOIN (SELECT DISTINCT counter, peak FROM token_step) AS p USING (counter)
    JOIN (
        SELECT
            counter,
            min(ts_us) AS first_us,
            max(ts_us) AS last_us
        FROM token_seen
        GROUP BY counter
    ) AS s USING (counter)
    LEFT JOIN (SELECT DISTINCT counter FROM token_odd) AS o USING (counter)
    LEFT JOIN token_span AS span USING (job_id)
),
job AS (
    SELECT
        job_id,
        (max(greatest(first_us, job_start_us)) // us_per_day() + 1) * us_per_day()
            AS settled_from_us,
        (min(last_us) // us_per_day() - 1) * us_per_day() AS settled_to_us
    FROM counter
    GROUP BY job_id
    HAVING NOT bool_or(unsettled) AND settled_from_us < settled_to_us
),
point AS (
    SELECT
        c.job_id, c.node, c.source_id, c.model, c.engine, c.kind, c.metric, c.series,
        c.counter, c.since_us, c.peak, c.job_end_us,
        p.ts_us, p.value, p.run, p.quantum, p.skipped,
        j.settled_from_us,
        j.settled_to_us,
        lag(p.ts_us) OVER in_order AS before_us,
        lead(p.ts_us) OVER in_order AS after_us
    FROM job AS j
    JOIN counter AS c USING (job_id)
    JOIN token_seen AS p USING (counter)
    WINDOW in_order AS (PARTITION BY p.counter ORDER BY p.ts_us)
),
kept AS (
    SELECT
        *,
        lag(value) OVER in_order AS before,
        lag(ts_us) OVER in_order AS kept_us
    FROM point
    WHERE
        ts_us < settled_to_us
        AND (
            ts_us < settled_from_us
            OR before_us < settled_from_us
            OR after_us >= settled_to_us
            OR (ts_us <= job_end_us AND job_end_us < after_us)
            OR (before_us < job_end_us AND job_end_us <= ts_us)
        )
    WINDOW in_order AS (PARTITION BY counter ORDER BY ts_us)
)
SELECT
    job_id, node, source_id, model, engine, kind, metric, series, ts_us, value, since_us, run,
    quantum,
    coalesce(skipped OR kept_us < before_us, false) AS skipped,
    peak,
    settled_from_us,
    settled_to_us
FROM kept
QUALIFY
    NOT bool_or(coalesce(token_leap(value - before, ts_us - kept_us), false))
        OVER (PARTITION BY job_id)
