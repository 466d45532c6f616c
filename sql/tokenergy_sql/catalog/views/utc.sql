-- A stamp of the lake as a TIMESTAMP, in UTC.
-- In: us, microseconds since 1970. Out: TIMESTAMP.
CREATE MACRO utc(us) AS make_timestamp(us)
