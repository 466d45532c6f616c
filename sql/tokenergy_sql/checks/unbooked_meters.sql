-- Every meter that is read has an entry in the site file, and so a row of its hour.
-- warn, hourly
-- In: meter, meter_hour, checked_hour, node_hour. Out: the hours with readings of others, and their
-- ids. An hour in which no board was recorded has no books, and no row here.
--
-- Such readings are in no figure. It is a warning also where the site file has no meters at all:
-- what is booked is right without them, and who begins to read meters has yet to describe them. But
-- nothing else would say that they lie idle, or that an id is spelt otherwise than the collector's.
WITH
unbooked AS (
    SELECT h.hour_us, m.meter_id, count(DISTINCT m.ts_us) AS readings
    FROM meter AS m
    JOIN checked_hour AS h ON m.ts_us >= h.hour_us AND m.ts_us < h.hour_us + us_per_hour()
    ANTI JOIN meter_hour AS b ON b.meter_id = m.meter_id AND b.hour_us = h.hour_us
    WHERE
        h.hour_us IN (SELECT hour_us FROM node_hour)
        OR h.hour_us IN (SELECT hour_us FROM meter_hour)
    GROUP BY ALL
)
SELECT
    strftime(make_timestamp(hour_us), '%Y-%m-%dT%H:00Z') AS hour,
    count(*) AS meters,
    sum(readings)::BIGINT AS readings,
    string_agg(meter_id, ', ' ORDER BY meter_id) AS meter_ids,
    CASE
        WHEN hour_us IN (SELECT hour_us FROM meter_hour)
            THEN 'no [[meter]] of the site file has these ids then: add them, or correct the id'
        ELSE 'the site file has no [[meter]] then: describe them there, then run `tokenergy index`'
    END AS what_to_do
FROM unbooked
GROUP BY hour_us
ORDER BY hour_us
