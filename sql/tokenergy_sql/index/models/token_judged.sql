-- Which single readings of odd processes are too low or too high.
-- In: token_look, token_odd. Out: counter, process, run, ts_us, value, quantum, skipped, peak,
-- before, before_us, after, beyond (the readings around it), low, high (it is left out).
--
-- A single low reading is left out: the next one is not below the one before it. A reading is too
-- high, and left out, if the next one falls below it and not below the one before it, and it was no
-- restart: the start is known, the reading is a leap, the values around it are within a tenth, or
-- it rose a hundred times what comes next.
WITH
once AS (
    SELECT
        l.counter, l.process, l.run, l.ts_us, l.value,
        max(l.quantum) AS quantum,
        bool_and(l.skipped) AS skipped,
        max(l.peak) AS peak
    FROM token_look AS l
    SEMI JOIN token_odd AS o ON o.counter = l.counter AND o.process IS NOT DISTINCT FROM l.process
    GROUP BY ALL
),
looked_at AS (
    SELECT
        *,
        lag(value) OVER in_order AS before,
        lag(ts_us) OVER in_order AS before_us,
        lead(value) OVER in_order AS after,
        lead(value, 2) OVER in_order AS beyond
    FROM once
    WINDOW in_order AS (PARTITION BY counter, process ORDER BY run, ts_us, value)
)
SELECT
    *,
    value < before AND after >= before AS low,
    value > after AND coalesce(beyond < value, true) AND (
        token_leap(value - before, ts_us - before_us)
        OR (after >= before AND process IS NOT NULL)
        OR (after >= before AND before > 0 AND before >= 10 * (after - before))
        OR (after >= before AND value - before >= 100 * greatest(after, 1))
    ) AS high
FROM looked_at
