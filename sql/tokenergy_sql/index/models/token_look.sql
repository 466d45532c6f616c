-- The readings of each process beside those before and after them, its known beginning included.
-- In: token_reading, token_span, token_counter. Out: counter, process (its start; NULL: unknown),
-- run, ts_us, value, quantum, skipped, peak, before and before_us (of the reading before), final
-- (none follows), first (the first value of the process).
--
-- A process whose start is known counts from zero if the start is inside the job, or after the
-- first reading of the counter.
WITH
born AS (
    SELECT r.counter, r.process, arg_min(r.run, (r.run, r.ts_us)) AS run
    FROM token_reading AS r
    JOIN (SELECT counter, min(ts_us) AS first_us FROM token_reading GROUP BY counter) AS f
        USING (counter)
    JOIN token_counter AS c USING (counter)
    LEFT JOIN token_span AS span ON span.job_id = c.job_id
    WHERE r.process IS NOT NULL
    GROUP BY r.counter, r.process
    HAVING
        r.process < min(r.ts_us)
        AND (
            r.process >= any_value(span.job_start_us) - us_per_second()
            OR (
                any_value(f.first_us) < min(r.ts_us)
                AND r.process >= any_value(f.first_us) - us_per_second()
            )
        )
),
reading AS (
    SELECT counter, process, run, ts_us, value, quantum, skipped, peak FROM token_reading
    UNION ALL
    SELECT counter, process, run, process AS ts_us, 0, 1, false, NULL FROM born
)
SELECT
    *,
    lag(value) OVER in_order AS before,
    lag(ts_us) OVER in_order AS before_us,
    lead(value) OVER in_order IS NULL AS final,
    first_value(value) OVER in_order AS first
FROM reading
WINDOW in_order AS (PARTITION BY counter, process ORDER BY run, ts_us, value)
