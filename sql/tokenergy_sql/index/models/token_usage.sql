-- Tokens by job, hour, model and kind: differences of the cumulative counters.
-- In: token_point (see `token_point.sql`), token_span. Out: token_usage, all hours.
--
-- A counter is unwrapped first: within an epoch it adds its differences, and at a restart it goes
-- on from zero. Its value at an edge (of an hour or of the job) is linear between the readings
-- around it, rounded down, so that hours add up to the job exactly; low and high take the readings
-- themselves. A counter known to have been zero at an instant (`since_us`) has a reading there.
-- Before the first and after the last reading nothing is counted; the bounds allow for the unseen
-- time at the counter's own peak rate.
WITH
-- Whether the counter restarted before an hour's first reading, which the hour alone cannot tell.
marked AS (
    SELECT
        * REPLACE (coalesce(
            restarted,
            value < lag(value) OVER counter
            OR epoch > lag(epoch) OVER counter
            OR abs(since_us - lag(since_us) OVER counter) > us_per_second(),
            false
        ) AS restarted),
        restarted IS NULL AS opening,
        lag(ts_us) OVER counter AS before_us
    FROM token_point
    WINDOW counter AS (
        PARTITION BY job_id, source_id, engine, kind
        ORDER BY ts_us, epoch, value, since_us, restarted NULLS FIRST
    )
),
point AS (
    SELECT
        job_id, source_id, engine, kind, model,
        ts_us, value, epoch, since_us, restarted, delta, peak
    FROM marked
    UNION ALL
    SELECT
        m.job_id, m.source_id, m.engine, m.kind, m.model,
        m.since_us AS ts_us, 0 AS value, m.epoch, m.since_us, m.restarted, NULL, NULL
    FROM marked AS m
    LEFT JOIN token_span AS span USING (job_id)
    WHERE
        m.opening
        AND m.since_us < m.ts_us
        AND CASE
            WHEN m.before_us IS NULL THEN m.since_us >= span.job_start_us - us_per_second()
            ELSE m.restarted AND m.since_us > m.before_us
        END
),
grown AS (
    SELECT
        * REPLACE (CASE
            WHEN delta IS NOT NULL THEN delta
            WHEN lag(value) OVER counter IS NULL THEN 0
            WHEN restarted AND lag(value) OVER counter > 0 THEN value
            ELSE value - lag(value) OVER counter
        END AS delta),
        CASE WHEN delta IS NULL THEN ts_us - lag(ts_us) OVER counter END AS dt_us
    FROM point
    WINDOW counter AS (
        PARTITION BY job_id, source_id, engine, kind
        ORDER BY ts_us, epoch, value, since_us, restarted DESC
    )
),
total AS (
    SELECT job_id, source_id, engine, kind, ts_us, max(tokens) AS tokens
    FROM (
        SELECT
            *,
            sum(delta) OVER (
                PARTITION BY job_id, source_id, engine, kind
                ORDER BY ts_us, epoch, value, since_us, restarted DESC
            )::BIGINT AS tokens
        FROM grown
    )
    GROUP BY ALL
),
counter AS (
    SELECT
        g.job_id, g.source_id, g.engine, g.kind,
        max(g.model) AS model,
        min(g.ts_us) AS first_us,
        max(g.ts_us) AS last_us,
        -- tokens per second, of spacings long enough to mean something
        coalesce(greatest(
            max(g.peak),
            max(per_second(g.delta, g.dt_us)) FILTER (WHERE g.dt_us >= 100000)
        ), 0) AS peak,
        max(span.job_start_us) AS job_start_us,
        max(span.job_end_us) AS job_end_us
    FROM grown AS g
    LEFT JOIN token_span AS span USING (job_id)
    GROUP BY ALL
),
watched AS (
    SELECT
        *,
        coalesce(job_start_us, first_us) AS from_us,
        coalesce(job_end_us, greatest(last_us, coalesce(job_start_us, first_us))) AS to_us
    FROM counter
),
hourly AS (
    SELECT
        w.*,
        h.hour_us,
        greatest(h.hour_us, w.from_us) AS a_us,
        least(h.hour_us + us_per_hour(), w.to_us) AS b_us
    FROM watched AS w,
        LATERAL (
            SELECT unnest(range(
                hour_of(w.from_us),
                greatest(w.to_us, w.from_us + 1),
                us_per_hour()
            )) AS hour_us
        ) AS h
),
edge AS (
    SELECT DISTINCT job_id, source_id, engine, kind, peak, first_us, last_us, edge_us
    FROM (
        SELECT *, a_us AS edge_us FROM hourly
        UNION ALL
        SELECT *, b_us AS edge_us FROM hourly
    )
),
bracketed AS (
    SELECT
        e.*,
        l.ts_us AS left_us, l.tokens AS left_tokens,
        r.ts_us AS right_us, r.tokens AS right_tokens
    FROM edge AS e
    ASOF LEFT JOIN total AS l
        ON l.job_id = e.job_id AND l.source_id = e.source_id AND l.engine = e.engine
        AND l.kind = e.kind AND l.ts_us <= e.edge_us
    ASOF LEFT JOIN total AS r
        ON r.job_id = e.job_id AND r.source_id = e.source_id AND r.engine = e.engine
        AND r.kind = e.kind AND r.ts_us >= e.edge_us
),
valued AS (
    SELECT
        job_id, source_id, engine, kind, edge_us,
        CASE
            WHEN left_us IS NULL THEN right_tokens
            WHEN right_us IS NULL OR left_us = right_us THEN left_tokens
            ELSE
                left_tokens
                + (
                    (right_tokens - left_tokens)::HUGEINT * (edge_us - left_us)
                    // (right_us - left_us)
                )::BIGINT
        END AS estimate,
        CASE
            WHEN left_us IS NULL
                THEN right_tokens - ceil(peak * (first_us - edge_us) / us_per_second())::BIGINT
            ELSE left_tokens
        END AS low,
        CASE
            WHEN right_us IS NULL
                THEN left_tokens + ceil(peak * (edge_us - last_us) / us_per_second())::BIGINT
            ELSE right_tokens
        END AS high
    FROM bracketed
)
SELECT
    h.job_id,
    h.hour_us,
    h.model,
    h.kind,
    sum(b.estimate - a.estimate)::BIGINT AS tokens,
    sum(greatest(b.low - a.high, 0))::BIGINT AS low,
    sum(b.high - a.low)::BIGINT AS high
FROM hourly AS h
JOIN valued AS a
    ON a.job_id = h.job_id AND a.source_id = h.source_id AND a.engine = h.engine
    AND a.kind = h.kind AND a.edge_us = h.a_us
JOIN valued AS b
    ON b.job_id = h.job_id AND b.source_id = h.source_id AND b.engine = h.engine
    AND b.kind = h.kind AND b.edge_us = h.b_us
WHERE h.a_us <= h.b_us
GROUP BY ALL
