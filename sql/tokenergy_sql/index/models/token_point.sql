-- The few points of each counter in one hour that the token usage depends on.
-- In: tokens (of one hour), parameters, token_edge (job edges inside this hour, else NULL). Out:
-- token_point (see `tokens.py`).
--
-- A counter is one series of one source: all names below, as served. Where it only grows, a point
-- says nothing that its neighbours do not say. Kept are the others: those within two readings of a
-- fall, a leap, a repeated stamp or the hour's first and last reading, those around an edge of the
-- job, and all of an hour in which the collector or the counting process changed. `skipped` marks a
-- point after left-out ones; `peak` is the steepest growth beside a left-out point, in tokens a
-- second. So the points give exactly what all readings give.
WITH
reading AS (
    SELECT
        job_key(cluster, job_id) AS job_id, node, source_id, model, engine, kind, metric, series,
        ts_us, value, since_us, coalesce(run, 0) AS run, coalesce(quantum, 1) AS quantum
    FROM tokens, parameters
    WHERE hour_of(ts_us) = hour_us AND value BETWEEN 0 AND most
),
-- A number for each counter: its eight names are compared once a reading, not at every step.
counter AS (
    SELECT
        *,
        row_number() OVER () AS counter
    FROM (
        SELECT
            job_id, node, source_id, model, engine, kind, metric, series,
            min(run) = max(run)
            AND (
                count(since_us) = 0
                OR (count(since_us) = count(*) AND min(since_us) = max(since_us))
            ) AS steady
        FROM reading
        GROUP BY ALL
    )
),
numbered AS (
    SELECT DISTINCT c.counter, c.job_id, c.steady, r.run, r.ts_us, r.value, r.since_us, r.quantum
    FROM reading AS r
    JOIN counter AS c
        ON c.job_id = r.job_id AND c.node = r.node AND c.source_id = r.source_id
        AND c.engine = r.engine AND c.kind = r.kind
        AND c.model IS NOT DISTINCT FROM r.model
        AND c.metric IS NOT DISTINCT FROM r.metric
        AND c.series IS NOT DISTINCT FROM r.series
),
beside AS (
    SELECT
        *,
        row_number() OVER in_order AS place,
        value - lag(value) OVER in_order AS step,
        lag(value) OVER in_order - lag(value, 2) OVER in_order AS step_before,
        lead(value) OVER in_order - value AS step_after,
        lead(value, 2) OVER in_order - lead(value) OVER in_order AS step_beyond,
        ts_us - lag(ts_us) OVER in_order AS us,
        lag(ts_us) OVER in_order - lag(ts_us, 2) OVER in_order AS us_before,
        lead(ts_us) OVER in_order - ts_us AS us_after,
        lead(ts_us, 2) OVER in_order - lead(ts_us) OVER in_order AS us_beyond
    FROM numbered
    WINDOW in_order AS (
        PARTITION BY counter ORDER BY run, ts_us, value, since_us NULLS FIRST, quantum
    )
),
sorted_out AS (
    SELECT
        b.*,
        steady AND us_before > 0 AND us > 0 AND us_after > 0 AND us_beyond > 0
        AND step >= 0 AND step_before >= 0 AND step_after >= 0 AND step_beyond >= 0
        AND NOT token_leap(step, us) AND NOT token_leap(step_before, us_before)
        AND NOT token_leap(step_after, us_after) AND NOT token_leap(step_beyond, us_beyond)
        AND NOT coalesce(ts_us <= e.start_us AND e.start_us < ts_us + us_after, false)
        AND NOT coalesce(ts_us - us < e.start_us AND e.start_us <= ts_us, false)
        AND NOT coalesce(ts_us <= e.end_us AND e.end_us < ts_us + us_after, false)
        AND NOT coalesce(ts_us - us < e.end_us AND e.end_us <= ts_us, false) AS dropped
    FROM beside AS b
    LEFT JOIN token_edge AS e USING (job_id)
),
peak AS (
    SELECT
        counter,
        greatest(
            max(per_second(step, us)) FILTER (WHERE us >= 100000),
            max(per_second(step_after, us_after)) FILTER (WHERE us_after >= 100000)
        ) AS peak
    FROM sorted_out
    WHERE dropped
    GROUP BY counter
)
SELECT
    c.job_id,
    c.node,
    c.source_id,
    c.model,
    c.engine,
    c.kind,
    c.metric,
    c.series,
    s.ts_us,
    s.value,
    s.since_us,
    s.run,
    s.quantum,
    coalesce(s.place - lag(s.place) OVER (PARTITION BY s.counter ORDER BY s.place) > 1, false)
        AS skipped,
    p.peak
FROM sorted_out AS s
JOIN counter AS c USING (counter)
LEFT JOIN peak AS p USING (counter)
WHERE NOT coalesce(s.dropped, false)
ORDER BY ALL
