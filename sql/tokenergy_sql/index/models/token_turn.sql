-- While two processes of one counter live at once: what each made before and after it was seen is
-- not known. In: token_process. Out: counter, from_us (when the later one of the two began), to_us
-- (when one of them is known to be dead; the largest BIGINT if neither is).
--
-- Starts are known to a second, so a process that takes the place of another may seem to have begun
-- before the last reading of that one. One without a known start has lived since its first reading
-- at least.
WITH
began AS (
    SELECT counter, number, process, last_us, dead_us, coalesce(process, first_us) AS start_us
    FROM token_process
),
met AS (
    SELECT
        *,
        max(last_us) OVER (
            PARTITION BY counter ORDER BY start_us, number
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) AS others_us
    FROM began
)
SELECT
    b.counter,
    greatest(coalesce(a.process, 0), coalesce(b.process, 0)) AS from_us,
    least(coalesce(a.dead_us, 9223372036854775807), coalesce(b.dead_us, 9223372036854775807))
        AS to_us
FROM met AS b
JOIN began AS a
    ON a.counter = b.counter AND (a.start_us, a.number) < (b.start_us, b.number)
    AND a.last_us > b.start_us + us_per_second()
-- Few counters have any: of the others no two processes are compared.
WHERE b.others_us > b.start_us + us_per_second()
