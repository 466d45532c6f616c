-- When each process of a counter was seen.
-- In: token_curve, token_counter, token_doubt. Out: counter, number (of the process), process,
-- job_id, first_us, last_us, dead_us (when a later process began, after the last reading; NULL:
-- none did), peak; and of one whose stamps moved, else NULL, moved_from_us and moved_to_us (the
-- time that this touches), less, more and rate (see `token_doubt.sql`).
WITH seen AS (
    SELECT
        counter, process,
        min(ts_us) AS first_us,
        max(ts_us) AS last_us,
        any_value(peak) AS peak
    FROM token_curve
    GROUP BY ALL
),
-- Starts within a second are one process: the first of them stands for it.
doubt AS (
    SELECT
        s.counter, s.process,
        least(min(d.from_us), any_value(s.first_us)) AS moved_from_us,
        max(d.to_us) AS moved_to_us,
        sum(d.less)::BIGINT AS less,
        sum(d.more)::BIGINT AS more,
        max(d.rate) AS rate
    FROM token_doubt AS d
    ASOF JOIN seen AS s ON s.counter = d.counter AND s.process <= d.start_us
    GROUP BY ALL
)
SELECT
    s.counter,
    row_number() OVER (ORDER BY s.counter, s.process) AS number,
    s.process,
    c.job_id,
    s.first_us,
    s.last_us,
    -- Of one counter, whoever began after the last reading took its place.
    o.process AS dead_us,
    s.peak,
    d.moved_from_us, d.moved_to_us, d.less, d.more, d.rate
FROM seen AS s
JOIN (SELECT DISTINCT counter, job_id FROM token_counter) AS c USING (counter)
ASOF LEFT JOIN seen AS o ON o.counter = s.counter AND o.process > s.last_us
LEFT JOIN doubt AS d ON d.counter = s.counter AND d.process = s.process
