-- An instant in microseconds since 1970, UTC.
-- In: moment, a TIMESTAMP, ISO 8601 text (UTC if it has no offset) or microseconds. Out: BIGINT;
-- NULL where it cannot be read.
--
-- A cast to TIMESTAMP leaves an offset out of account, a cast to TIMESTAMPTZ takes the session's
-- time zone where there is none: so each text goes by the one that reads it rightly.
CREATE MACRO stamp_us(moment) AS coalesce(
    try_cast(moment::VARCHAR AS BIGINT),
    CASE WHEN regexp_matches(moment::VARCHAR, ':\d\d(\.\d+)?\s*(Z|[+-]\d\d(:?\d\d)?)$')
        THEN epoch_us(try_cast(moment::VARCHAR AS TIMESTAMPTZ))
        ELSE epoch_us(try_cast(
            regexp_replace(moment::VARCHAR, '([T ]\d\d)$', '\1:00') AS TIMESTAMP
        ))
    END
)
