-- When a job's token counters moved, and when they were read without having moved.
-- In: tokens (of the hour and the two beside it), parameters. Out: job_id, from_us, to_us, moved:
-- the time between neighbouring readings of one counter, merged over all counters of the job where
-- such times touch.
--
-- Serves the ledger: a segment that overlaps a time in which its job's counters moved is active.
WITH
-- A counter is one series of one process: two workers behind one address do not make each other
-- move.
named AS (
    SELECT
        job_key(cluster, job_id) AS job_id,
        hash(
            cluster, job_id, node, source_id, model, engine, kind, metric, series, since_us
        ) AS counter,
        ts_us,
        value,
        coalesce(run, 0) AS run
    FROM tokens
),
reading AS (
    SELECT job_id, counter, run, ts_us, value
    FROM named, parameters
    WHERE ts_us >= hour_us AND ts_us < hour_us + us_per_hour()
    UNION ALL
    -- Of the hours beside it, the readings next to it are enough.
    SELECT job_id, counter, unnest(max(struct_pack(run := run, ts_us := ts_us, value := value)))
    FROM named, parameters
    WHERE ts_us < hour_us
    GROUP BY job_id, counter
    UNION ALL
    SELECT job_id, counter, unnest(min(struct_pack(run := run, ts_us := ts_us, value := value)))
    FROM named, parameters
    WHERE ts_us >= hour_us + us_per_hour()
    GROUP BY job_id, counter
),
paired AS (
    SELECT
        job_id, ts_us, value,
        lag(ts_us) OVER in_order AS from_us,
        lag(value) OVER in_order AS from_value
    FROM reading
    WINDOW in_order AS (PARTITION BY job_id, counter ORDER BY run, ts_us, value)
),
pair AS (
    SELECT
        job_id,
        from_us,
        ts_us AS to_us,
        bool_or(value <> from_value) AS moved
    FROM paired, parameters
    WHERE from_us < ts_us AND ts_us > hour_us AND from_us < hour_us + us_per_hour()
    GROUP BY ALL
),
opening AS (
    SELECT
        *,
        coalesce(from_us > max(to_us) OVER (
            PARTITION BY job_id, moved ORDER BY from_us, to_us
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ), true) AS opens
    FROM pair
),
numbered AS (
    SELECT
        *,
        count(*) FILTER (WHERE opens) OVER (
            PARTITION BY job_id, moved ORDER BY from_us, to_us
        ) AS part
    FROM opening
)
SELECT job_id, min(from_us) AS from_us, max(to_us) AS to_us, moved
FROM numbered
GROUP BY job_id, moved, part
