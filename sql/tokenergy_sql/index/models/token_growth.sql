-- What each counter added between neighbouring readings.
-- In: token_step, token_counter. Out: job_id, kind, counter (a number for each process of one
-- series), from_us, to_us, tokens.
--
-- Of ranks that count the same tokens, and of two names for one counter, only the one that added
-- most is here. Those that follow one another are all here: see the turns in `token_usage.sql`.
-- Of a frontend and its workers, only the workers are here.
WITH
growth AS (
    SELECT
        counter,
        process,
        tokens,
        ts_us AS to_us,
        lag(ts_us) OVER (PARTITION BY counter, process ORDER BY run, ts_us, value) AS from_us
    FROM token_step
    WHERE kept
),
total AS (
    SELECT
        c.job_id, c.kind, c.server, c.own_metric, c.parallel, c.counter,
        sum(g.tokens) AS tokens,
        min(g.to_us) AS first_us,
        max(g.to_us) AS last_us
    FROM growth AS g
    JOIN (
        SELECT DISTINCT job_id, kind, counter, server, own_metric, parallel FROM token_counter
    ) AS c USING (counter)
    GROUP BY ALL
),
begun AS (
    SELECT
        *,
        first_us > max(last_us) OVER (
            PARTITION BY server
            ORDER BY first_us, counter
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) AS follows
    FROM total
),
in_turn AS (
    SELECT
        *,
        count(*) FILTER (WHERE follows) OVER (
            PARTITION BY server
            ORDER BY first_us, counter
        ) AS turn
    FROM begun
),
of_ranks AS (
    SELECT
        *,
        row_number() OVER (
            PARTITION BY server, own_metric, parallel, turn
            ORDER BY tokens DESC, counter
        ) AS place
    FROM in_turn
),
of_name AS (
    SELECT
        *,
        token_frontend(own_metric) AS frontend,
        bool_or(NOT token_frontend(own_metric)) OVER (PARTITION BY job_id, kind) AS has_worker,
        rank() OVER (
            PARTITION BY server, own_metric IS NULL, turn
            ORDER BY of_metric DESC, own_metric
        ) AS name
    FROM (
        SELECT
            *,
            sum(tokens) OVER (
                PARTITION BY server, own_metric, turn
            ) AS of_metric
        FROM of_ranks
        WHERE place = 1
    )
)
SELECT
    n.job_id,
    n.kind,
    dense_rank() OVER (ORDER BY g.counter, g.process) AS counter,
    g.from_us,
    g.to_us,
    g.tokens
FROM growth AS g
JOIN of_name AS n USING (counter)
WHERE n.name = 1 AND g.from_us < g.to_us AND NOT (n.frontend AND n.has_worker)
