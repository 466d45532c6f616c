-- When a job's token counters moved, and when they were read without having moved.
-- In: tokens (of the hour and the two beside it), parameters. Out: job_id, from_us, to_us, moved:
-- the time between neighbouring readings of one counter, merged over all counters of the job where
-- such times touch.
--
-- Serves the ledger: a segment that overlaps a time in which its job's counters moved is active.
WITH
reading AS (
    SELECT job_id, source_id, engine, kind, ts_us, value, epoch
    FROM tokens, parameters
    WHERE ts_us >= hour_us AND ts_us < hour_us + us_per_hour()
    UNION ALL
    -- Of the hours beside it, the readings next to it are enough.
    SELECT
        job_id, source_id, engine, kind,
        unnest(max(struct_pack(ts_us := ts_us, value := value, epoch := epoch)))
    FROM tokens, parameters
    WHERE ts_us < hour_us
    GROUP BY job_id, source_id, engine, kind
    UNION ALL
    SELECT
        job_id, source_id, engine, kind,
        unnest(min(struct_pack(ts_us := ts_us, value := value, epoch := epoch)))
    FROM tokens, parameters
    WHERE ts_us >= hour_us + us_per_hour()
    GROUP BY job_id, source_id, engine, kind
),
paired AS (
    SELECT
        job_id, ts_us, value, epoch,
        lag(ts_us) OVER counter AS from_us,
        lag(value) OVER counter AS from_value,
        lag(epoch) OVER counter AS from_epoch
    FROM reading
    WINDOW counter AS (PARTITION BY job_id, source_id, engine, kind ORDER BY ts_us, value, epoch)
),
pair AS (
    SELECT
        job_id,
        from_us,
        ts_us AS to_us,
        bool_or(value <> from_value OR epoch > from_epoch) AS moved
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
