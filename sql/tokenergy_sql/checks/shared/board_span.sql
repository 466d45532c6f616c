-- The segments of each board on a node in an hour, added up: enough to say of most boards that
-- nothing is wrong with them.
-- In: segment. Out: one row a device, node and hour: device_id, node, hour_us, first_us, last_us
-- (from the first to the last segment), read_first_us and read_last_us (of those with readings),
-- readings, chained, mark.
--
-- chained is true where each segment ends as the next one begins, without a hole or an overlap:
-- where all have a length, and their starts without the first are their ends without the last. The
-- sums of hashes of both are compared. mark is the sum of their lengths, each times a hash of its
-- slot of 30 s.
SELECT
    device_id,
    node,
    hour_of(start_us) AS hour_us,
    min(start_us) AS first_us,
    max(end_us) AS last_us,
    min(start_us) FILTER (WHERE readings > 0 OR counter_nj IS NOT NULL) AS read_first_us,
    max(end_us) FILTER (WHERE readings > 0 OR counter_nj IS NOT NULL) AS read_last_us,
    sum(readings)::BIGINT AS readings,
    min(end_us - start_us) > 0
    AND sum(hash(start_us)) - hash(min(start_us)) = sum(hash(end_us)) - hash(max(end_us))
        AS chained,
    sum((end_us - start_us) * (hash(start_us // (30 * us_per_second())) >> 36)::BIGINT) AS mark
FROM segment
GROUP BY ALL
