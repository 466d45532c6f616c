-- How many tokens of each kind a job had counted on a node at given instants.
-- In: token_instant (job_id, node, at_us), token_value (of these instants), token_counter. Out:
-- job_id, node, at_us, kind, tokens, low, high, extra, least_extra: all since the first readings.
--
-- What was counted between instants a and b is tokens_b - tokens_a, at least low_b - high_a (not
-- below 0), at most high_b - low_a + extra_b - least_extra_a. Series are added as in
-- `token_usage.sql`. A node that counts no tokens of the job has no rows.
WITH
of_counter AS (
    SELECT
        c.job_id, c.node, c.source_id, c.model, c.engine, c.kind, c.own_metric, c.parallel,
        v.counter,
        i.at_us,
        sum(v.tokens) AS tokens,
        sum(v.low) AS low,
        sum(v.high) AS high,
        sum(v.extra) AS extra,
        sum(v.least_extra) AS least_extra
    FROM token_value AS v
    JOIN (SELECT DISTINCT ON (counter) * FROM token_counter) AS c USING (counter)
    JOIN (SELECT DISTINCT job_id, node, at_us FROM token_instant) AS i
        ON i.job_id = c.job_id AND i.node = c.node AND i.at_us = v.edge_us
    GROUP BY ALL
),
of_ranks AS (
    SELECT
        job_id, node, source_id, model, engine, kind, own_metric, parallel, at_us,
        max(tokens) AS tokens,
        max(low) AS low,
        max(high) AS high,
        max(extra) AS extra,
        max(least_extra) AS least_extra
    FROM of_counter
    GROUP BY ALL
),
of_name AS (
    SELECT
        job_id, node, source_id, model, engine, kind, own_metric, at_us,
        sum(tokens) AS tokens,
        sum(low) AS low,
        sum(high) AS high,
        sum(extra) AS extra,
        sum(least_extra) AS least_extra
    FROM of_ranks
    GROUP BY ALL
),
of_engine AS (
    SELECT
        job_id, node, source_id, model, engine, kind, at_us,
        own_metric IS NULL AS older,
        max(tokens) AS tokens,
        max(low) AS low,
        max(high) AS high,
        max(extra) AS extra,
        max(least_extra) AS least_extra
    FROM of_name
    GROUP BY ALL
)
SELECT
    job_id,
    node,
    at_us,
    kind,
    sum(tokens)::BIGINT AS tokens,
    sum(low)::BIGINT AS low,
    sum(high)::BIGINT AS high,
    sum(extra)::BIGINT AS extra,
    sum(least_extra)::BIGINT AS least_extra
FROM of_engine
GROUP BY job_id, node, at_us, kind
