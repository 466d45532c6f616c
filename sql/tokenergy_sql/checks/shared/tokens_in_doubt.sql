-- The jobs whose tokens of the checked hours may not be what the readings around them show.
-- In: checked_hour, tokens (of these hours and those beside them), token_usage (of these hours),
-- allocation. Out: job_id.
--
-- `tokens_add_up` recounts these from all their readings, so too many here cost time alone. The
-- bounds are those of that check, for an hour: growth across its edge counts by the time on each
-- side. A counter that may have had readings before these, and has none before the hour, is in
-- doubt too.
WITH
near AS (
    SELECT hour_us, hour_us + us_per_hour() AS end_us FROM checked_hour
),
held AS (
    SELECT
        job_id,
        min(start_us) AS start_us,
        CASE WHEN bool_and(end_us IS NOT NULL) THEN max(end_us) END AS end_us
    FROM allocation
    GROUP BY job_id
),
read AS (
    SELECT DISTINCT
        job_key(t.cluster, t.job_id) AS job_id,
        t.kind, t.node, t.source_id, t.model, t.engine, t.metric, t.series, t.since_us,
        hash(t.node, t.source_id, t.model, t.engine, t.metric, t.series) AS counter,
        coalesce(t.run, 0) AS run, t.ts_us, t.value, coalesce(t.quantum, 1) AS quantum
    FROM tokens AS t
    WHERE t.value BETWEEN 0 AND 9007199254740992
),
stepped AS (
    SELECT
        *,
        lag(ts_us) OVER in_order AS before_us,
        value - lag(value) OVER in_order AS step,
        coalesce(abs(since_us - lag(since_us) OVER in_order) > us_per_second(), false) AS new_start
    FROM read
    WINDOW in_order AS (
        PARTITION BY job_id, kind, counter ORDER BY run, ts_us, value, since_us
    )
),
span AS (
    SELECT
        *,
        least(ts_us, coalesce(before_us, ts_us)) AS from_us,
        greatest(ts_us, coalesce(before_us, ts_us)) AS to_us
    FROM stepped
),
-- The hours of each job, cut at its edges.
cut AS (
    SELECT
        r.job_id,
        n.hour_us,
        h.start_us,
        greatest(n.hour_us, coalesce(h.start_us, 0)) AS a_us,
        least(n.end_us, coalesce(h.end_us, n.end_us)) AS b_us
    FROM (SELECT DISTINCT job_id FROM read) AS r
    CROSS JOIN near AS n
    LEFT JOIN held AS h USING (job_id)
),
-- Each step in each hour that it touches.
part AS (
    SELECT
        s.*,
        c.hour_us, c.start_us, c.a_us,
        to_us - from_us AS us,
        greatest(0, least(to_us, c.b_us) - greatest(from_us, c.a_us)) AS inside_us
    FROM span AS s
    JOIN cut AS c ON c.job_id = s.job_id AND s.from_us <= c.b_us AND s.to_us >= c.a_us
),
counted AS (
    SELECT
        *,
        CASE
            WHEN step IS NULL AND since_us >= start_us - us_per_second() THEN value
            WHEN step IS NULL THEN 0
            WHEN step < 0 OR new_start THEN value
            ELSE step
        END::HUGEINT AS tokens
    FROM part
),
most AS (
    SELECT
        job_id, kind, hour_us,
        sum(CASE
            WHEN us = 0 THEN tokens ELSE (tokens * inside_us + us - 1) // us
        END)::HUGEINT AS tokens,
        bool_or(
            step IS NULL AND ts_us > a_us
            AND coalesce(greatest(start_us, since_us) < hour_us - us_per_hour(), true)
        ) AS begins
    FROM counted
    GROUP BY ALL
),
rise AS (
    SELECT
        job_id, kind, hour_us, node, source_id, model, engine, metric, series, counter,
        sum(CASE WHEN us = 0 OR step IS NULL THEN 0 ELSE step * inside_us::HUGEINT // us END)
        - max(quantum) - 2 AS tokens,
        bool_and(coalesce(step >= 0, true) AND NOT new_start) AS grew
    FROM part
    GROUP BY ALL
),
of_ranks AS (
    SELECT
        job_id, kind, hour_us, node, source_id, model, engine, metric,
        token_parallel(metric, series) AS parallel,
        max(tokens) FILTER (WHERE grew) AS tokens
    FROM rise
    GROUP BY ALL
),
of_name AS (
    SELECT job_id, kind, hour_us, node, source_id, model, engine, metric, sum(tokens) AS tokens
    FROM of_ranks
    GROUP BY ALL
),
of_engine AS (
    SELECT
        job_id, kind, hour_us, node, source_id, model, engine,
        token_frontend(metric) AS frontend,
        max(tokens) AS tokens
    FROM of_name
    GROUP BY ALL
),
-- A frontend counts what its workers count.
least AS (
    SELECT job_id, kind, hour_us, max(tokens) AS tokens
    FROM (
        SELECT job_id, kind, hour_us, frontend, sum(tokens) AS tokens FROM of_engine GROUP BY ALL
    )
    GROUP BY ALL
),
used AS (
    SELECT job_id, kind, hour_us, sum(tokens) AS tokens, sum(high) AS high
    FROM token_usage
    GROUP BY ALL
)
SELECT DISTINCT job_id
FROM used AS u
FULL JOIN most AS m USING (job_id, kind, hour_us)
LEFT JOIN least AS l USING (job_id, kind, hour_us)
WHERE
    coalesce(u.tokens, 0) > coalesce(m.tokens, 0)
    OR coalesce(u.high, 0) < l.tokens
    OR m.begins
