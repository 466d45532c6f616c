-- The readings of each process that count, beside the one before: of processes that only grew.
-- In: token_look, token_odd. Out: counter, process, run, ts_us, value (as far as it counts),
-- quantum, skipped, peak, read (as read), last, last_read, last_us (of the one before), final (none
-- follows), highest (of all before), first (value of the process), first_read, floor (see
-- `token_line_odd.sql`), plain (its process only grew, from stamp to stamp).
SELECT
    counter, process, run, ts_us, value, quantum, skipped, peak,
    value AS read,
    before AS last,
    before AS last_read,
    before_us AS last_us,
    final,
    before AS highest,
    first,
    NULL::BIGINT AS first_read,
    NULL::BIGINT AS floor,
    true AS plain
FROM token_look AS l
ANTI JOIN token_odd AS o ON o.counter = l.counter AND o.process IS NOT DISTINCT FROM l.process
