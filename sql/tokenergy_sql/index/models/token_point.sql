-- The few points of each counter in one hour that the token usage depends on.
-- In: tokens (of one hour), parameters, token_edge (job edges inside this hour, else NULL). Out:
-- token_point (see `tokens.py`).
--
-- Kept are the points at the first two stamps, at the last one and at those around an edge of the
-- job. `delta` is the counter's growth since the kept point before, dropped ones included; `peak`
-- is the steepest growth (tokens per second) after the second stamp, and `model` the last by name,
-- of all the hour's points. What depends on earlier hours is left to `token_usage.sql`: whether the
-- counter restarted before the first reading (`restarted` is NULL there), and so the order of the
-- points at the first stamp, and so the growth of those at the first two (`delta` is NULL).
WITH
reading AS (
    SELECT DISTINCT job_id, source_id, engine, kind, model, ts_us, value, epoch, since_us
    FROM tokens, parameters
    WHERE hour_of(ts_us) = hour_us AND value BETWEEN 0 AND most
),
-- A counter restarts when it falls, when its reader said so, or when its process is another one.
-- A smaller epoch is only another reader's count (a rotated file, a restarted collector).
marked AS (
    SELECT
        *,
        lag(ts_us) OVER counter AS before_us,
        CASE WHEN lag(ts_us) OVER counter IS NOT NULL THEN coalesce(
            value < lag(value) OVER counter
            OR epoch > lag(epoch) OVER counter
            OR abs(since_us - lag(since_us) OVER counter) > us_per_second(),
            false
        ) END AS restarted
    FROM reading
    WINDOW counter AS (
        PARTITION BY job_id, source_id, engine, kind ORDER BY ts_us, epoch, value, since_us, model
    )
),
point AS (
    SELECT * EXCLUDE (before_us) FROM marked
    UNION ALL
    SELECT * EXCLUDE (before_us) REPLACE (since_us AS ts_us, 0 AS value)
    FROM marked
    WHERE restarted AND since_us > before_us AND since_us < ts_us
),
-- Points of one stamp keep the order in which they were marked: of equal ones the restart is first.
grown AS (
    SELECT
        *,
        CASE
            WHEN lag(value) OVER counter IS NULL THEN 0
            WHEN restarted AND lag(value) OVER counter > 0 THEN value
            ELSE value - lag(value) OVER counter
        END AS step,
        lag(ts_us) OVER counter AS before_us,
        first_value(ts_us) OVER counter AS first_us
    FROM point
    WINDOW counter AS (
        PARTITION BY job_id, source_id, engine, kind
        ORDER BY ts_us, epoch, value, since_us, restarted DESC
    )
),
risen AS (
    SELECT
        *,
        sum(step) OVER (
            PARTITION BY job_id, source_id, engine, kind
            ORDER BY ts_us, epoch, value, since_us, restarted DESC
        ) AS tokens
    FROM grown
),
counter AS (
    SELECT
        g.job_id, g.source_id, g.engine, g.kind,
        max(g.model) AS last_model,
        max(per_second(g.step, g.ts_us - g.before_us)) FILTER (
            WHERE g.ts_us - g.before_us >= 100000 AND g.before_us > g.first_us
        ) AS peak,
        min(g.ts_us) FILTER (WHERE g.before_us < g.ts_us) AS second_us,
        [
            min(g.ts_us),
            second_us,
            max(g.ts_us),
            max(g.ts_us) FILTER (WHERE g.ts_us <= e.start_us),
            min(g.ts_us) FILTER (WHERE g.ts_us >= e.start_us),
            max(g.ts_us) FILTER (WHERE g.ts_us <= e.end_us),
            min(g.ts_us) FILTER (WHERE g.ts_us >= e.end_us)
        ] AS kept_us
    FROM grown AS g
    LEFT JOIN token_edge AS e USING (job_id)
    GROUP BY ALL
)
SELECT
    job_id,
    source_id,
    engine,
    kind,
    c.last_model AS model,
    r.ts_us,
    r.value,
    r.epoch,
    r.since_us,
    r.restarted,
    CASE
        WHEN r.ts_us > c.second_us
            THEN r.tokens - lag(r.tokens) OVER (
                PARTITION BY job_id, source_id, engine, kind
                ORDER BY r.ts_us, r.epoch, r.value, r.since_us, r.restarted DESC
            )
    END::BIGINT AS delta,
    c.peak
FROM risen AS r
JOIN counter AS c USING (job_id, source_id, engine, kind)
WHERE list_contains(c.kept_us, r.ts_us)
ORDER BY ALL
