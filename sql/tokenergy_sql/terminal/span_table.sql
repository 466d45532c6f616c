-- The load of groups over one span, the largest first.
-- In: load_span; $from_us, $until_us (the span, microseconds), $boundary (what the load is of).
-- Out: its rows.
SELECT *
FROM load_span
WHERE from_us = $from_us AND until_us = $until_us AND boundary = $boundary
ORDER BY kind, mean_mw DESC NULLS LAST, group_id
