-- What was read. In: power, tokens. Out: one row; the footers of the files alone are read.
SELECT
    (SELECT count(*) FROM power) AS power_readings,
    (SELECT count(*) FROM tokens) AS token_readings
