-- Each job's tokens are the sum of its hours, and are what its raw readings can have added.
-- fail, touched
-- In: tokens, token_usage, job_index, allocation, recounted_job. Out: the jobs of which this is
-- not true.
--
-- The recount starts from the raw rows and takes another road than the models: it does not decide
-- which readings are right. Each series can have added at most all its rises, its value after each
-- fall or new start, and its first value if it began inside the job. It has added at least the
-- whole rise of a process that never fell, between its first and last reading inside the job.
--
-- Of some hours, only the jobs whose tokens there are in doubt are recounted: `tokens_in_doubt`.
WITH
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
        coalesce(t.run, 0) AS run, t.ts_us, t.value, coalesce(t.quantum, 1) AS quantum,
        h.start_us, h.end_us
    FROM tokens AS t
    SEMI JOIN recounted_job AS c ON c.job_id = job_key(t.cluster, t.job_id)
    LEFT JOIN held AS h ON h.job_id = job_key(t.cluster, t.job_id)
    -- No counter gets this far (2^53).
    WHERE t.value BETWEEN 0 AND 9007199254740992
),
stepped AS (
    SELECT
        *,
        lag(ts_us) OVER in_order AS before_us,
        value - lag(value) OVER in_order AS step,
        abs(since_us - lag(since_us) OVER in_order) > us_per_second() AS new_start
    FROM read
    WINDOW in_order AS (
        PARTITION BY job_id, kind, counter ORDER BY run, ts_us, value, since_us
    )
),
most AS (
    SELECT
        job_id,
        kind,
        sum(CASE
            WHEN step IS NULL AND since_us >= start_us - us_per_second() THEN value
            WHEN step IS NULL THEN 0
            WHEN step < 0 OR new_start THEN value
            ELSE step
        END::HUGEINT) AS tokens
    FROM stepped
    WHERE
        (before_us IS NULL OR end_us IS NULL OR before_us <= end_us)
        AND (start_us IS NULL OR ts_us >= start_us)
    GROUP BY ALL
),
rise AS (
    SELECT
        job_id, kind, node, source_id, model, engine, metric, series, since_us,
        max(value) - min(value) - max(quantum) AS tokens,
        arg_max(value, (run, ts_us, value)) = max(value)
        AND arg_min(value, (run, ts_us, value)) = min(value) AS grew
    FROM read
    WHERE (start_us IS NULL OR ts_us >= start_us) AND (end_us IS NULL OR ts_us <= end_us)
    GROUP BY ALL
),
of_ranks AS (
    SELECT
        job_id, kind, node, source_id, model, engine, metric,
        token_parallel(metric, series) AS parallel,
        max(tokens) FILTER (WHERE grew) AS tokens
    FROM rise
    GROUP BY ALL
),
of_name AS (
    SELECT job_id, kind, node, source_id, model, engine, metric, sum(tokens) AS tokens
    FROM of_ranks
    GROUP BY ALL
),
of_engine AS (
    SELECT
        job_id, kind, node, source_id, model, engine,
        token_frontend(metric) AS frontend,
        max(tokens) AS tokens
    FROM of_name
    GROUP BY ALL
),
-- A frontend counts what its workers count.
least AS (
    SELECT job_id, kind, max(tokens) AS tokens
    FROM (SELECT job_id, kind, frontend, sum(tokens) AS tokens FROM of_engine GROUP BY ALL)
    GROUP BY ALL
),
used AS (
    SELECT
        job_id,
        kind,
        sum(tokens) AS tokens,
        sum(high) AS high,
        bool_or(tokens NOT BETWEEN low AND high) AS outside
    FROM token_usage
    GROUP BY ALL
),
indexed AS (
    SELECT job_id, n_generated, n_trained FROM job_index
)
SELECT
    u.job_id,
    u.kind,
    CASE u.kind WHEN 'generated' THEN i.n_generated WHEN 'trained' THEN i.n_trained END AS indexed,
    u.tokens AS used,
    u.outside,
    l.tokens AS at_least,
    m.tokens AS at_most
FROM used AS u
LEFT JOIN indexed AS i USING (job_id)
LEFT JOIN least AS l ON l.job_id = u.job_id AND l.kind = u.kind
LEFT JOIN most AS m ON m.job_id = u.job_id AND m.kind = u.kind
WHERE
    (u.kind = 'generated' AND coalesce(i.n_generated, 0) <> coalesce(u.tokens, 0))
    OR (u.kind = 'trained' AND coalesce(i.n_trained, 0) <> coalesce(u.tokens, 0))
    OR u.outside
    OR u.high < l.tokens
    OR (u.tokens > coalesce(m.tokens, 0) AND u.job_id IN (SELECT job_id FROM recounted_job))
UNION ALL
SELECT i.job_id, 'generated', i.n_generated, NULL, NULL, NULL, NULL
FROM indexed AS i
ANTI JOIN (SELECT * FROM used WHERE kind = 'generated') AS u USING (job_id)
WHERE i.n_generated IS NOT NULL
UNION ALL
SELECT i.job_id, 'trained', i.n_trained, NULL, NULL, NULL, NULL
FROM indexed AS i
ANTI JOIN (SELECT * FROM used WHERE kind = 'trained') AS u USING (job_id)
WHERE i.n_trained IS NOT NULL
ORDER BY ALL
