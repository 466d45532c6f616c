-- How many tokens each process of a counter had counted at given instants, since its first point.
-- In: token_curve, token_process, token_cut (counter, edge_us). Out: counter, number (of the
-- process), edge_us, tokens, low, high, extra and least_extra (of the upper bound, summed up to
-- here), anomalies and anomalies_after (left-out readings up to the point before, and after),
-- coarse.
--
-- Between two points the tokens are linear, rounded down, so that neighbouring hours add up
-- exactly; the bounds are the points themselves, each give or take half the step in which it is
-- printed. Before the first and after the last point nothing is counted; the bounds allow for the
-- unseen time at the counter's own peak rate, but not for time before the process began or after
-- another one took its place.
WITH
point AS (
    SELECT p.number, c.*
    FROM token_curve AS c
    JOIN token_process AS p ON p.counter = c.counter AND p.process IS NOT DISTINCT FROM c.process
),
edge AS (
    SELECT p.*, e.edge_us
    FROM (SELECT DISTINCT counter, edge_us FROM token_cut) AS e
    JOIN token_process AS p USING (counter)
),
bracketed AS (
    SELECT
        e.counter, e.number, e.edge_us,
        e.first_us, e.last_us, e.peak, e.process, e.dead_us,
        l.ts_us AS left_us, l.tokens AS left_tokens, l.least AS left_least,
        l.quantum AS left_quantum, l.least_extra AS left_extra, l.anomalies AS left_anomalies,
        r.ts_us AS right_us, r.tokens AS right_tokens, r.least AS right_least,
        r.quantum AS right_quantum, r.extra AS right_extra, r.anomalies AS right_anomalies,
        l.extra AS last_extra
    FROM edge AS e
    ASOF LEFT JOIN point AS l ON l.number = e.number AND l.ts_us <= e.edge_us
    ASOF LEFT JOIN point AS r ON r.number = e.number AND r.ts_us >= e.edge_us
),
-- Unseen tokens of every instant, in order: those before the first point count below zero. So an
-- hour has those of its own unseen time alone, and hours add up to the job.
looked_at AS (
    SELECT
        *,
        CASE
            WHEN left_us IS NULL
                THEN least(greatest(edge_us, coalesce(process, edge_us)) - first_us, 0)
            WHEN right_us IS NULL THEN least(edge_us, coalesce(dead_us, edge_us)) - last_us
            ELSE 0
        END AS unseen_us,
        peak * unseen_us / us_per_second() AS made,
        (CASE WHEN made < 0 THEN floor(made) ELSE ceil(made) END)::BIGINT AS unseen
    FROM bracketed
)
SELECT
    counter,
    number,
    edge_us,
    CASE
        WHEN left_us IS NULL THEN right_tokens
        WHEN right_us IS NULL OR left_us = right_us THEN left_tokens
        ELSE
            left_tokens
            + (
                (right_tokens - left_tokens)::HUGEINT * (edge_us - left_us) // (right_us - left_us)
            )::BIGINT
    END AS tokens,
    coalesce(left_least, right_least) - coalesce(left_quantum, right_quantum) // 2 AS low,
    coalesce(right_tokens, left_tokens) + coalesce(right_quantum, left_quantum) // 2 AS high,
    coalesce(right_extra, last_extra) + unseen AS extra,
    coalesce(left_extra, 0) + unseen AS least_extra,
    coalesce(left_anomalies, 0) AS anomalies,
    coalesce(right_anomalies, left_anomalies) AS anomalies_after,
    greatest(coalesce(left_quantum, 1), coalesce(right_quantum, 1)) > 1 AS coarse
FROM looked_at
