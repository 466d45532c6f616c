-- An instant in microseconds since 1970, UTC.
-- In: moment, a TIMESTAMP, ISO 8601 text (UTC if it has no offset) or microseconds. Out: BIGINT;
-- NULL where it cannot be read.
CREATE MACRO stamp_us(moment) AS coalesce(
    try_cast(moment::VARCHAR AS BIGINT),
    epoch_us(try_cast(moment::VARCHAR AS TIMESTAMP))
)
