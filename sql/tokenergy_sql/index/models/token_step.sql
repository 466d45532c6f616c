-- What each reading adds to the tokens of its counter: its growth, nothing, or a new beginning.
-- In: token_line. Out: counter, process (its start; NULL: unknown), run, ts_us, value, quantum,
-- tokens (added since the reading before), extra (what the upper bound has on top), under (how far
-- it reads below what was counted), anomaly (left out), kept (false: the reading is no point of the
-- counter), peak (the counter's steepest growth, tokens a second), plain (its process only grew,
-- from stamp to stamp), first (value of a plain process).
--
-- While a process with a known start reads below its highest, nothing is added. Of a process
-- without a known start, a reading that fell is
--   a restart  if another one follows: it goes on from zero, and what was made before is unknown,
--   left out   if none does: nothing says what it was.
-- A leap that stays adds nothing. What is left out widens the upper bound so that it holds the
-- other meaning too.
WITH
stepped AS (
    SELECT
        *,
        CASE
            WHEN last IS NULL THEN 'first'
            WHEN token_leap(value - last, ts_us - last_us) THEN 'leap'
            WHEN process IS NOT NULL AND value < highest THEN 'below'
            WHEN value >= last THEN 'growth'
            WHEN process IS NOT NULL OR final THEN 'fall'
            ELSE 'restart'
        END AS what
    FROM token_line
),
steepest AS (
    SELECT
        counter,
        coalesce(greatest(
            max(peak),
            -- Of spacings long enough to mean something.
            max(per_second(read - last_read, ts_us - last_us)) FILTER (
                WHERE read >= last_read AND NOT token_leap(read - last_read, ts_us - last_us)
                AND NOT skipped AND ts_us - last_us >= 100000
            )
        ), 0) AS peak
    FROM stepped
    GROUP BY counter
),
counted AS (
    SELECT
        s.*,
        ceil(p.peak * (s.ts_us - s.last_us) / us_per_second())::BIGINT AS unseen,
        p.peak AS steepest,
        CASE
            WHEN what = 'growth' AND process IS NULL THEN value - last
            WHEN what = 'growth' THEN value - highest
            WHEN what = 'restart' THEN value
            ELSE 0
        END AS tokens
    FROM stepped AS s
    JOIN steepest AS p USING (counter)
)
SELECT
    counter, process, run, ts_us, read AS value, quantum, tokens,
    CASE
        WHEN what = 'first' THEN 0
        WHEN what = 'restart' THEN unseen
        WHEN value < last THEN value + unseen
        ELSE value - last - tokens
    END
    + CASE
        WHEN read > floor THEN greatest(read - greatest(coalesce(last_read, 0), floor), 0) ELSE 0
    END AS extra,
    CASE WHEN value < highest AND value >= first_read THEN highest - value ELSE 0 END AS under,
    what IN ('leap', 'below', 'fall') OR read > value AS anomaly,
    true AS kept,
    steepest AS peak,
    plain,
    first
FROM counted
