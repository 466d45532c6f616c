-- Whether an argument can be used; else an error that says what was expected.
-- In: holds, a condition; expected, the text of the error. Out: BOOLEAN, true.
--
-- A macro selects it in a row of its own that never passes, `WHERE NOT good`, under the names of
-- the columns that a condition may name: DuckDB works out neither columns that nobody asks for nor
-- conditions on no rows.
CREATE MACRO good_argument(holds, expected) AS CASE
    WHEN holds THEN true ELSE error(expected)::BOOLEAN
END
