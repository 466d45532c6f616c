-- When a job's token counters moved, and when they were read without having moved.
-- In: token_reading (of `job_token.sql`), token_span, parameters. Out: job_id, from_us, to_us,
-- moved: the time between neighbouring readings of one process of a counter, merged over all
-- counters of the job where such times touch.
--
-- A process that counts from zero (see `token_look.sql`) was at zero at its start. Between the last
-- reading of a process and the start of the next one nothing says whether anything moved.
--
-- Serves the ledger: a segment that overlaps a time in which its job's counters moved is active.
WITH
paired AS (
    SELECT
        job_id, ts_us, value,
        lag(ts_us) OVER in_order AS from_us,
        lag(value) OVER in_order AS from_value
    FROM token_reading
    WINDOW in_order AS (PARTITION BY job_id, counter, process ORDER BY run, ts_us, value)
),
began AS (
    SELECT
        job_id, counter, process,
        min(ts_us) AS ts_us,
        arg_min(value, (run, ts_us, value)) AS value
    FROM token_reading
    GROUP BY ALL
),
born AS (
    SELECT b.job_id, b.ts_us, b.value, b.process AS from_us, 0 AS from_value
    FROM began AS b
    JOIN (SELECT counter, min(ts_us) AS first_us FROM began GROUP BY counter) AS f USING (counter)
    LEFT JOIN token_span AS span USING (job_id)
    CROSS JOIN parameters
    WHERE
        b.process < b.ts_us
        -- Readings of earlier hours are not here: an older process may have been read before.
        AND b.process >= hour_us - us_per_hour()
        AND (
            b.process >= span.job_start_us - us_per_second()
            OR (f.first_us < b.ts_us AND b.process >= f.first_us - us_per_second())
        )
),
known AS (
    FROM paired
    UNION ALL BY NAME
    FROM born
),
pair AS (
    SELECT
        job_id,
        from_us,
        ts_us AS to_us,
        bool_or(value <> from_value) AS moved
    FROM known, parameters
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
