-- The stamps of each host follow UTC: no step, no suspension, no run behind an earlier one.
-- warn, whole
-- In: clock_doubt. Out: where stamps are more than a second off, and why.
--
-- `off_s` is how far UTC was from the stamps at most; `set_s` by how much UTC moved against the
-- time since boot from one note to the next, also while no collector ran.
SELECT
    node,
    why,
    strftime(make_timestamp(min(from_us)), '%Y-%m-%dT%H:%M:%S.%fZ') AS "from",
    strftime(make_timestamp(max(to_us)), '%Y-%m-%dT%H:%M:%S.%fZ') AS "to",
    count(*) AS notes,
    arg_max(round(seconds(off_us), 3), abs(off_us)) AS off_s,
    arg_max(round(seconds(set_us), 3), abs(set_us)) AS set_s,
    max(round(seconds(asleep_us), 3)) AS asleep_s
FROM clock_doubt
GROUP BY node, why
ORDER BY ALL
