-- How many tokens each odd process had counted at each of its points, since its first.
-- In: token_step. Out: as `token_curve.sql`.
--
-- Readings are in the order of the collector's runs, whatever their stamps: where the wall clock
-- was set back between two runs, a stamp has two values, and the bounds hold both. So they do where
-- a reading is below what was counted: the lower bound is as low up to it.
WITH
summed AS (
    SELECT
        counter, process, ts_us, quantum, peak, kept, under,
        (sum(tokens) OVER in_order)::BIGINT AS counted,
        (sum(extra) OVER in_order)::BIGINT AS on_top,
        count(*) FILTER (WHERE anomaly) OVER in_order AS left_out
    FROM token_step
    WHERE NOT plain
    WINDOW in_order AS (
        PARTITION BY counter, process ORDER BY run, ts_us, value
        ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    )
),
by_stamp AS (
    SELECT
        counter, process, ts_us,
        max(quantum) AS quantum,
        any_value(peak) AS peak,
        max(counted) AS tokens,
        min(counted - under) AS least,
        max(on_top) AS extra,
        min(on_top) AS least_extra,
        max(left_out) AS anomalies
    FROM summed
    WHERE kept
    GROUP BY counter, process, ts_us
)
SELECT
    counter, process, ts_us,
    max(tokens) OVER upto AS tokens,
    min(least) OVER onwards AS least,
    quantum,
    max(extra) OVER upto AS extra,
    min(least_extra) OVER onwards AS least_extra,
    max(anomalies) OVER upto AS anomalies,
    peak
FROM by_stamp
WINDOW
    upto AS (
        PARTITION BY counter, process ORDER BY ts_us
        ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ),
    onwards AS (
        PARTITION BY counter, process ORDER BY ts_us
        ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING
    )
