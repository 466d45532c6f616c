-- Token usage from all readings of all time in one statement: the slow side of benchmarks/tokens.py.
-- In: tokens, allocation. Out: the rows of token_usage, all hours.
--
-- The same rules as `token_point.sql` and `token_usage.sql` without their shortcut, so it shows that
-- a few points an hour lose nothing. It cannot show that the rules are right: the tests have an
-- oracle in plain Python for that.
WITH
span AS (
    SELECT
        job_id,
        min(start_us) AS job_start_us,
        CASE WHEN bool_or(end_us IS NULL) THEN NULL ELSE max(end_us) END AS job_end_us
    FROM allocation
    GROUP BY job_id
),
reading AS (
    SELECT DISTINCT job_id, source_id, engine, kind, model, ts_us, value, epoch, since_us
    FROM tokens
),
-- A counter restarts when it falls, when its reader said so, or when its process is another one.
-- A smaller epoch is only another reader's count (a rotated file, a restarted collector).
marked AS (
    SELECT
        *,
        lag(ts_us) OVER counter AS before_us,
        coalesce(
            value < lag(value) OVER counter
            OR epoch > lag(epoch) OVER counter
            OR abs(since_us - lag(since_us) OVER counter) > 1000000,
            false
        ) AS restarted
    FROM reading
    WINDOW counter AS (PARTITION BY job_id, source_id, engine, kind ORDER BY ts_us, epoch, value, since_us, model)
),
point AS (
    SELECT job_id, source_id, engine, kind, model, ts_us, value, epoch, since_us, restarted
    FROM marked
    UNION ALL
    SELECT
        m.job_id, m.source_id, m.engine, m.kind, m.model,
        m.since_us, 0, m.epoch, m.since_us, m.restarted
    FROM marked AS m
    LEFT JOIN span USING (job_id)
    WHERE m.since_us < m.ts_us
      AND CASE
          WHEN m.before_us IS NULL THEN m.since_us >= span.job_start_us - 1000000
          ELSE m.restarted AND m.since_us > m.before_us
      END
),
grown AS (
    SELECT
        *,
        CASE
            WHEN lag(value) OVER counter IS NULL THEN 0
            WHEN restarted AND lag(value) OVER counter > 0 THEN value
            ELSE value - lag(value) OVER counter
        END AS delta,
        ts_us - lag(ts_us) OVER counter AS dt_us
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
        coalesce(max(g.delta * 1000000.0 / g.dt_us) FILTER (WHERE g.dt_us >= 100000), 0) AS peak,
        max(span.job_start_us) AS job_start_us,
        max(span.job_end_us) AS job_end_us
    FROM grown AS g
    LEFT JOIN span USING (job_id)
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
        least(h.hour_us + 3600000000, w.to_us) AS b_us
    FROM watched AS w,
        LATERAL (
            SELECT unnest(range(
                w.from_us - w.from_us % 3600000000,
                greatest(w.to_us, w.from_us + 1),
                3600000000
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
            ELSE left_tokens
                + ((right_tokens - left_tokens)::HUGEINT * (edge_us - left_us)
                    // (right_us - left_us))::BIGINT
        END AS estimate,
        CASE
            WHEN left_us IS NULL
                THEN right_tokens - ceil(peak * (first_us - edge_us) / 1000000)::BIGINT
            ELSE left_tokens
        END AS low,
        CASE
            WHEN right_us IS NULL
                THEN left_tokens + ceil(peak * (edge_us - last_us) / 1000000)::BIGINT
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
