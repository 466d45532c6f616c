-- What is doubtful of processes whose stamps moved with their start: it may have been no clock.
-- In: token_stretch, token_moved. Out: counter, start_us (of the process), from_us, to_us (the time
-- that the moved stretches touch), less and more (by how much the bounds of an hour in that time
-- widen), rate (tokens a second by which the upper bound of any hour widens).
--
-- A server that took the place of an older one reads like a clock that was set. Where the count
-- grew faster from one stretch to the next than anywhere inside them, the bounds hold two processes
-- too: nothing of that growth, or all of both counts, and what each made while the other was read.
WITH
part AS (
    SELECT DISTINCT counter, part
    FROM token_moved
    WHERE off_us <> 0
),
moved AS (
    SELECT m.*
    FROM token_moved AS m
    JOIN part USING (counter, part)
),
grown AS (
    SELECT
        m.counter, m.part,
        s.value - lag(s.value) OVER in_order AS tokens,
        s.ts_us - lag(s.ts_us) OVER in_order AS us
    FROM token_stretch AS s
    JOIN moved AS m USING (counter, run, stretch)
    WINDOW in_order AS (PARTITION BY s.counter, s.run, s.stretch ORDER BY s.ts_us, s.value)
),
steepest AS (
    SELECT
        counter, part,
        coalesce(max(per_second(tokens, us)) FILTER (
            WHERE us >= 100000 AND tokens >= 0 AND NOT token_leap(tokens, us)
        ), 0) AS rate
    FROM grown
    GROUP BY ALL
),
joined AS (
    SELECT
        m.*,
        p.rate,
        lead(m.first_us) OVER in_order AS next_us,
        lead(m.first_value) OVER in_order AS next_value,
        m.off_us - lead(m.off_us) OVER in_order AS moved_us,
        abs(moved_us) > us_per_second()
        AND next_value - m.last_value
        > p.rate * (next_us - m.last_us - moved_us + us_per_second()) / us_per_second() AS doubtful
    FROM moved AS m
    JOIN steepest AS p USING (counter, part)
    WINDOW in_order AS (PARTITION BY m.counter, m.part ORDER BY m.run, m.stretch)
)
SELECT
    counter,
    start_us,
    min(first_us) AS from_us,
    max(greatest(last_us, last_us + off_us, next_us)) AS to_us,
    coalesce(sum(next_value - first_value) FILTER (WHERE doubtful), 0)::BIGINT AS less,
    coalesce(sum(
        last_value + next_value
        + ceil(rate * greatest(next_us - last_us, 0) / us_per_second())::BIGINT
    ) FILTER (WHERE doubtful), 0)::BIGINT AS more,
    coalesce(max(rate) FILTER (WHERE doubtful), 0) AS rate
FROM joined
WHERE off_us <> 0
GROUP BY counter, start_us
