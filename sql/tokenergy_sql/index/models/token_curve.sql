-- How many tokens each process of a counter had counted at each of its points, since its first.
-- In: token_step. Out: counter, process (its start; NULL: unknown), ts_us, tokens and least (they
-- differ where stamps repeat or overlap), quantum, extra and least_extra (what the upper bound has on
-- top, summed up to here), anomalies (left-out readings up to here), peak (steepest growth of the
-- counter, tokens a second).
--
-- Readings are in the order of the collector's runs, whatever their stamps: where the wall clock was
-- set back between two runs, a stamp has two values, and the bounds hold both.
WITH summed AS (
    SELECT
        *,
        sum(tokens) OVER in_order AS counted,
        sum(extra) OVER in_order AS on_top,
        count(*) FILTER (WHERE anomaly) OVER in_order AS left_out
    FROM token_step
    WINDOW in_order AS (PARTITION BY counter, process ORDER BY run, ts_us, value)
),
held AS (
    SELECT
        counter, process, ts_us, quantum, peak,
        max(counted) OVER upto AS tokens,
        min(counted) OVER onwards AS least,
        max(on_top) OVER upto AS extra,
        min(on_top) OVER onwards AS least_extra,
        max(left_out) OVER upto AS anomalies
    FROM summed
    WHERE kept
    WINDOW
        upto AS (PARTITION BY counter, process ORDER BY ts_us),
        onwards AS (
            PARTITION BY counter, process ORDER BY ts_us
            RANGE BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING
        )
)
SELECT
    counter,
    process,
    ts_us,
    any_value(tokens)::BIGINT AS tokens,
    any_value(least)::BIGINT AS least,
    max(quantum) AS quantum,
    any_value(extra)::BIGINT AS extra,
    any_value(least_extra)::BIGINT AS least_extra,
    any_value(anomalies)::BIGINT AS anomalies,
    any_value(peak) AS peak
FROM held
GROUP BY counter, process, ts_us
