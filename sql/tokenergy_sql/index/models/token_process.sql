-- When each process of a counter was seen.
-- In: token_curve, token_counter. Out: counter, number (of the process), process, job_id, first_us,
-- last_us, dead_us (when a later process began, after the last reading; NULL: none did), others_us
-- (until when those were read that were read before it), peak.
WITH seen AS (
    SELECT
        counter, process,
        min(ts_us) AS first_us,
        max(ts_us) AS last_us,
        any_value(peak) AS peak
    FROM token_curve
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
    (SELECT min(o.process) FROM seen AS o WHERE o.counter = s.counter AND o.process > s.last_us)
        AS dead_us,
    max(s.last_us) OVER (
        PARTITION BY s.counter ORDER BY s.first_us, s.process
        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ) AS others_us,
    s.peak
FROM seen AS s
JOIN (SELECT DISTINCT counter, job_id FROM token_counter) AS c USING (counter)
