-- The processes that did more than grow: they fell or leapt, or their stamps repeat.
-- In: token_look. Out: counter, process.
SELECT DISTINCT counter, process
FROM token_look
WHERE
    value < before OR ts_us <= before_us
    OR token_leap(value - before, ts_us - before_us)
