-- Tokens by job, hour, model and kind: differences of the cumulative counters.
-- In: token_hour, token_value, token_counter, token_process, token_turn. Out: token_usage of all
-- hours.
--
-- Differences come first, process by process and series by series (`token_step.sql`,
-- `token_value.sql`). Then they are added up: of ranks that count the same tokens the largest
-- counts; series that differ in other labels are added; of two names for one counter the larger
-- counts.
--
-- A frontend counts what its workers count: it is left out of hours in which they were read.
--
-- Ranks or names are on one page only where their times of counting overlap. After an update of the
-- server or of the collector one follows the other: that is the next turn, and turns are added.
-- What was made from one turn to the next is not known: an anomaly. What counted nothing in an hour
-- is of its first turn.
WITH
by_turns AS (
    SELECT DISTINCT h.counter, h.hour_us
    FROM token_hour AS h
    JOIN token_turn AS t ON t.counter = h.counter AND t.from_us < h.b_us AND t.to_us > h.a_us
),
of_process AS (
    SELECT
        h.counter,
        h.hour_us,
        b.tokens - a.tokens AS tokens,
        coalesce(p.moved_from_us < h.b_us AND p.moved_to_us > h.a_us, false) AS moved,
        greatest(b.low - a.high - CASE WHEN moved THEN p.less ELSE 0 END, 0) AS low,
        b.high - a.low + b.extra - a.least_extra
        + CASE WHEN moved THEN p.more ELSE 0 END
        + ceil(coalesce(p.rate, 0) * (h.b_us - h.a_us) / us_per_second())::BIGINT AS high,
        moved OR b.anomalies_after > a.anomalies OR t.counter IS NOT NULL AS anomaly,
        a.coarse OR b.coarse AS coarse,
        CASE WHEN p.first_us < h.b_us AND p.last_us > h.a_us THEN p.first_us END AS from_us,
        CASE WHEN from_us IS NOT NULL THEN p.last_us END AS to_us
    FROM token_hour AS h
    JOIN token_value AS a ON a.counter = h.counter AND a.edge_us = h.a_us
    JOIN token_value AS b
        ON b.counter = h.counter AND b.edge_us = h.b_us AND b.number = a.number
    JOIN token_process AS p ON p.number = a.number
    LEFT JOIN by_turns AS t ON t.counter = h.counter AND t.hour_us = h.hour_us
),
of_counter AS (
    SELECT
        counter,
        hour_us,
        sum(tokens) AS tokens,
        sum(low) AS low,
        sum(high) AS high,
        bool_or(anomaly) AS anomaly,
        bool_or(coarse) AS coarse,
        min(from_us) AS from_us,
        max(to_us) AS to_us
    FROM of_process
    GROUP BY ALL
),
named AS (
    SELECT
        c.server, c.job_id, c.model, c.kind, c.own_metric, c.parallel, u.*,
        u.from_us > max(u.to_us) OVER (
            in_order ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) AS follows,
        -- Of one name, series that count for themselves may come and go.
        follows AND (
            lag(c.own_metric) OVER in_order <> c.own_metric
            OR lag(c.parallel) OVER in_order = c.parallel
        ) AS replaces
    FROM of_counter AS u
    JOIN (
        SELECT DISTINCT counter, server, job_id, model, kind, own_metric, parallel
        FROM token_counter
    ) AS c USING (counter)
    WINDOW in_order AS (PARTITION BY c.server, u.hour_us ORDER BY u.from_us, u.counter)
),
in_turn AS (
    SELECT
        *,
        count(*) FILTER (WHERE follows) OVER (
            PARTITION BY server, hour_us ORDER BY from_us NULLS FIRST, counter
        ) AS turn
    FROM named
),
of_ranks AS (
    SELECT
        server, job_id, model, kind, own_metric, parallel, hour_us, turn,
        max(tokens) AS tokens,
        max(low) AS low,
        max(high) AS high,
        bool_or(anomaly OR coalesce(replaces, false)) AS anomaly,
        bool_or(coarse) AS coarse,
        bool_or(from_us IS NOT NULL) AS counted
    FROM in_turn
    GROUP BY ALL
),
of_name AS (
    SELECT
        server, job_id, model, kind, own_metric, hour_us, turn,
        sum(tokens) AS tokens,
        sum(low) AS low,
        sum(high) AS high,
        bool_or(anomaly) AS anomaly,
        bool_or(coarse) AS coarse,
        bool_or(counted) AS counted
    FROM of_ranks
    GROUP BY ALL
),
of_server AS (
    SELECT
        server, job_id, model, kind, hour_us, turn,
        -- Rows without a metric are of another time, not of another name: see token_counter.sql.
        coalesce(max(tokens) FILTER (WHERE own_metric IS NOT NULL), 0)
        + coalesce(max(tokens) FILTER (WHERE own_metric IS NULL), 0) AS tokens,
        coalesce(max(low) FILTER (WHERE own_metric IS NOT NULL), 0)
        + coalesce(max(low) FILTER (WHERE own_metric IS NULL), 0) AS low,
        coalesce(max(high) FILTER (WHERE own_metric IS NOT NULL), 0)
        + coalesce(max(high) FILTER (WHERE own_metric IS NULL), 0) AS high,
        bool_or(anomaly) AS anomaly,
        bool_or(coarse) AS coarse,
        bool_or(counted) AS counted,
        bool_or(token_frontend(own_metric)) AS frontend
    FROM of_name
    GROUP BY ALL
),
counting AS (
    FROM of_server
    QUALIFY
        NOT frontend
        OR NOT bool_or(counted AND NOT frontend) OVER (PARTITION BY job_id, hour_us, kind)
)
SELECT
    job_id,
    hour_us,
    model,
    kind,
    sum(tokens)::BIGINT AS tokens,
    sum(low)::BIGINT AS low,
    sum(high)::BIGINT AS high,
    nullif(concat_ws(
        ',',
        CASE WHEN bool_or(coarse) THEN 'coarse_counter' END,
        CASE WHEN bool_or(anomaly) THEN 'token_anomaly' END
    ), '') AS reasons
FROM counting
GROUP BY job_id, hour_us, model, kind
