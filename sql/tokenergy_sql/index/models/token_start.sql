-- The starts that the page named with the readings of each counter.
-- In: token_seen. Out: counter, since_us (the earliest; NULL: none was named), several (there is
-- another one).
SELECT
    counter,
    min(since_us) AS since_us,
    coalesce(min(since_us) < max(since_us), false) AS several
FROM token_seen
GROUP BY counter
