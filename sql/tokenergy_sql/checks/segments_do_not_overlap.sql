-- Segments of a device follow one another without overlap.
-- fail, hourly, by device
-- In: odd_segment. Out: the segments that overlap the next one, or have no length.
--
-- Of all other boards sums show that each segment ends as the next one begins: see
-- `board_span.sql`.
SELECT
    device_id,
    strftime(make_timestamp(start_us), '%Y-%m-%dT%H:%M:%S.%fZ') AS "start",
    end_us - lead(start_us) OVER (PARTITION BY device_id ORDER BY start_us) AS overlap_us
FROM odd_segment
QUALIFY overlap_us > 0 OR end_us <= start_us
ORDER BY ALL
