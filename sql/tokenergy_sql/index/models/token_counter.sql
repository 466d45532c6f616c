-- Every counter of a lake: one series of one source.
-- In: token_point. Out: the names of a counter as `token_point` has them, counter (a number),
-- server (a number for each engine and kind of a source), own_metric, parallel (its labels without
-- those of ranks that count the same).
--
-- Rows of older lakes have neither metric nor series. They are taken for the only series of their
-- engine and kind, if there is only one, so that a counter goes on through an update.
WITH
name AS (
    SELECT DISTINCT job_id, node, source_id, model, engine, kind, metric, series
    FROM token_point
),
only_one AS (
    SELECT
        job_id, node, source_id, model, engine, kind,
        any_value(metric) AS metric,
        any_value(series) AS series
    FROM name
    WHERE metric IS NOT NULL
    GROUP BY ALL
    HAVING count(*) = 1
),
named AS (
    SELECT
        n.*,
        coalesce(n.metric, o.metric) AS own_metric,
        coalesce(n.series, o.series) AS own_series
    FROM name AS n
    LEFT JOIN only_one AS o
        ON o.job_id = n.job_id AND o.node = n.node AND o.source_id = n.source_id
        AND o.engine = n.engine AND o.kind = n.kind AND o.model IS NOT DISTINCT FROM n.model
        AND n.metric IS NULL
)
SELECT
    n.* EXCLUDE (own_metric, own_series),
    dense_rank() OVER (
        ORDER BY
            n.job_id, n.node, n.source_id, n.model, n.engine, n.kind, n.own_metric, n.own_series
    ) AS counter,
    dense_rank() OVER (
        ORDER BY n.job_id, n.node, n.source_id, n.model, n.engine, n.kind
    ) AS server,
    n.own_metric,
    token_parallel(n.own_metric, n.own_series) AS parallel
FROM named AS n
