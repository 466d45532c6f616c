-- How many tokens each process of a counter had counted at each of its points, since its first.
-- In: token_step. Out: counter, process (its start; NULL: unknown), ts_us, tokens and least (they
-- differ where stamps repeat or overlap), quantum, extra and least_extra (what the upper bound has
-- on top, summed up to here), anomalies (left-out readings up to here), peak (steepest growth of
-- the counter, tokens a second).
--
-- What a process only grew is known without adding step to step. `token_curve_odd.sql` has the
-- others.
SELECT
    counter, process, ts_us,
    value - first AS tokens,
    value - first AS least,
    quantum,
    0::BIGINT AS extra,
    0::BIGINT AS least_extra,
    0::BIGINT AS anomalies,
    peak
FROM token_step
WHERE plain
