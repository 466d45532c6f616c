-- A length of time in microseconds.
-- In: span, an INTERVAL, a number of seconds, or text such as '5 minutes'. Out: BIGINT above 0;
-- NULL if it cannot be read or is not above 0.
CREATE MACRO span_us(span) AS nullif(greatest(0, coalesce(
    try_cast(try_cast(span::VARCHAR AS DOUBLE) * 1000000 AS BIGINT),
    epoch_us(try_cast(span::VARCHAR AS INTERVAL))
)), 0)
