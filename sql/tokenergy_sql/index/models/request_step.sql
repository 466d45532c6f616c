-- What each request counter and latency histogram added between two readings.
-- In: requests (of the hour and the two beside it), slo, token_span, parameters. Out: job_id, node,
-- source_id, model, kind, metric, counter (a number for each series), limit_us (of a latency),
-- exact (the limit is the edge of a bucket), from_us, to_us, sure (false: its process may have been
-- read for the first time after another one died unread), and what, n:
--   of finished: done (answered to their end), failed;
--   of a latency: all, over (above the last edge not above the limit: all that may be too slow),
--   under (at most the first edge not below it: all that may be fast enough), within (millionths
--   of requests: at most the limit, linear between these edges).
--
-- A row of `requests` is a vector of counts of one process. A process is known by its start, give
-- or take a second, and is differenced apart. It was at zero at its start if that is in the job, or
-- after the first reading of the counter. Without a known start a fall is a restart, from zero.
-- Counts only grow: what reads below its highest adds nothing.
WITH
named AS (
    SELECT
        job_key(cluster, job_id) AS job_id, node, source_id, coalesce(model, '') AS model, kind,
        metric, ts_us, since_us,
        dense_rank() OVER (
            ORDER BY cluster, job_id, node, source_id, model, engine, kind, metric, series
        ) AS counter,
        coalesce(run, 0) AS run,
        try_cast(try_cast(counts AS JSON) AS MAP (VARCHAR, BIGINT)) AS counted
    FROM requests
    WHERE counted IS NOT NULL
),
-- A limit of a model's own goes before that of all models.
limits AS (
    SELECT
        m.model, s.kind,
        coalesce(
            max(s.limit_us) FILTER (WHERE s.model = m.model),
            max(s.limit_us) FILTER (WHERE s.model = '')
        ) AS limit_us
    FROM (SELECT DISTINCT model FROM named) AS m
    JOIN slo AS s ON s.model IN ('', m.model)
    GROUP BY ALL
),
wanted AS (
    SELECT
        n.*, l.limit_us,
        list_transform(
            map_entries(counted),
            lambda x: struct_pack(
                at_us := try_cast(x['key'] AS DOUBLE) * us_per_second(), n := x['value']
            )
        ) AS buckets,
        list_filter(buckets, lambda x: x['at_us'] <= l.limit_us) AS below,
        list_filter(buckets, lambda x: x['at_us'] >= l.limit_us) AS above
    FROM named AS n
    LEFT JOIN limits AS l USING (model, kind)
    WHERE n.kind = 'finished' OR l.limit_us IS NOT NULL
),
edged AS (
    SELECT
        *,
        coalesce(list_max(list_transform(below, lambda x: x['at_us'])), 0) AS low_us,
        list_min(list_transform(above, lambda x: x['at_us'])) AS high_us,
        coalesce(list_max(list_transform(below, lambda x: x['n'])), 0) AS fast,
        coalesce(list_max(map_values(counted)), 0) AS every,
        coalesce(list_min(list_transform(above, lambda x: x['n'])), every) AS maybe,
        coalesce(list_sum(map_values(counted)), 0)::BIGINT AS total,
        coalesce(list_sum(list_transform(
            list_filter(map_entries(counted), lambda x: request_failed(x['key'])),
            lambda x: x['value']
        )), 0)::BIGINT AS failed
    FROM wanted
),
started AS (
    SELECT
        counter, since_us,
        min(since_us) OVER (PARTITION BY counter, part) AS process_us
    FROM (
        SELECT
            *,
            count(*) FILTER (WHERE apart) OVER (PARTITION BY counter ORDER BY since_us) AS part
        FROM (
            SELECT
                counter, since_us,
                since_us - lag(since_us) OVER (PARTITION BY counter ORDER BY since_us)
                > us_per_second() AS apart
            FROM (SELECT DISTINCT counter, since_us FROM named WHERE since_us IS NOT NULL)
        )
    )
),
of_process AS (
    SELECT
        e.*,
        coalesce(
            s.process_us,
            last_value(s.process_us IGNORE NULLS) OVER earlier,
            first_value(s.process_us IGNORE NULLS) OVER later
        ) AS process_us,
        lag(e.total) OVER in_order AS total_before,
        lag(e.ts_us) OVER in_order AS read_us,
        min(e.ts_us) OVER (PARTITION BY e.counter) AS first_us
    FROM edged AS e
    LEFT JOIN started AS s ON s.counter = e.counter AND s.since_us = e.since_us
    WINDOW
        in_order AS (PARTITION BY e.counter ORDER BY e.run, e.ts_us),
        earlier AS (
            PARTITION BY e.counter ORDER BY e.run, e.ts_us
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ),
        later AS (
            PARTITION BY e.counter ORDER BY e.run, e.ts_us
            ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING
        )
),
lived AS (
    SELECT
        *,
        CASE
            WHEN process_us IS NULL
                THEN count(*) FILTER (
                    WHERE total < total_before
                ) OVER (PARTITION BY counter ORDER BY run, ts_us)
        END AS life
    FROM of_process
),
-- The vector as rows: one a count that the index needs, each of them only grows.
measured AS (
    SELECT
        * EXCLUDE (below, above, buckets, counted),
        unnest(CASE
            WHEN kind = 'finished'
                THEN
                    [
                        struct_pack(what := 'done', value := total - failed),
                        struct_pack(what := 'failed', value := failed)
                    ]
            ELSE [
                struct_pack(what := 'all', value := every),
                struct_pack(what := 'over', value := every - fast),
                struct_pack(what := 'under', value := maybe),
                struct_pack(what := 'within', value := (whole_ppm() * CASE
                    WHEN isinf(high_us) OR high_us <= low_us THEN fast
                    ELSE fast + (maybe - fast) * (limit_us - low_us) / (high_us - low_us)
                END)::BIGINT)
            ]
        END, recursive := true)
    FROM lived
),
grown AS (
    SELECT
        m.*,
        greatest(m.value - coalesce(max(m.value) OVER before, 0), 0) AS n,
        lag(m.ts_us) OVER in_process AS last_us
    FROM measured AS m
    WINDOW
        in_process AS (
            PARTITION BY m.counter, m.what, m.process_us, m.life ORDER BY m.run, m.ts_us
        ),
        before AS (
            PARTITION BY m.counter, m.what, m.process_us, m.life ORDER BY m.run, m.ts_us
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        )
),
begun AS (
    SELECT
        g.*,
        CASE
            WHEN g.last_us IS NOT NULL THEN g.last_us
            WHEN g.life > 0 THEN g.read_us
            WHEN
                -- Of an earlier start the first reading may not be among these.
                g.process_us >= p.hour_us - us_per_hour()
                AND (
                    g.process_us >= s.job_start_us - us_per_second()
                    OR (g.first_us < g.ts_us AND g.process_us >= g.first_us - us_per_second())
                )
                THEN g.process_us
        END AS from_us,
        g.last_us IS NOT NULL OR coalesce(g.life, 0) = 0 AS sure
    FROM grown AS g
    CROSS JOIN parameters AS p
    LEFT JOIN token_span AS s USING (job_id)
)
SELECT
    job_id, node, source_id, model, kind, metric, counter, limit_us,
    coalesce(low_us = limit_us OR high_us = limit_us, false) AS exact,
    from_us, ts_us AS to_us, sure, what, n
FROM begun
WHERE from_us < ts_us
