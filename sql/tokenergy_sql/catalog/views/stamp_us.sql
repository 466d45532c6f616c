-- An instant in microseconds since 1970, UTC.
-- In: moment, a TIMESTAMP, ISO 8601 text (UTC if it has no offset) or microseconds. Out: BIGINT;
-- NULL if it cannot be read.
--
-- A cast to TIMESTAMP ignores an offset, and a cast to TIMESTAMPTZ assumes the session's time zone
-- where there is none, so each text gets the cast that reads it correctly.
CREATE MACRO stamp_us(moment) AS coalesce(
    try_cast(moment::VARCHAR AS BIGINT),
    CASE
        WHEN regexp_matches(moment::VARCHAR, ':\d\d(\.\d+)?\s*(Z|[+-]\d\d(:?\d\d)?)$')
            THEN epoch_us(try_cast(moment::VARCHAR AS TIMESTAMPTZ))
        ELSE
            epoch_us(try_cast(
                regexp_replace(moment::VARCHAR, '([T ]\d\d)$', '\1:00') AS TIMESTAMP
            ))
    END
)
