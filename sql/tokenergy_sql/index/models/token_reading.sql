-- The readings of each counter by the process that counted them: of counters with one start or
-- none.
-- In: token_seen, token_start. Out: the columns of token_seen without since_us, and process (its
-- start, us UTC; NULL if unknown).
--
-- Most counters are such. `token_reading_several.sql` has the others.
SELECT
    p.* EXCLUDE (since_us),
    s.since_us AS process
FROM token_seen AS p
JOIN token_start AS s USING (counter)
WHERE NOT s.several
