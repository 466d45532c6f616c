-- The stamps of each host follow UTC: no step, no suspension, no run behind an earlier one.
-- warn, touched
-- In: clock_doubt, checked_time. Out: where stamps are more than a second off, and why.
--
-- `off_s` is how far UTC was from the stamps at most; `set_s` by how much UTC moved against the
-- time since boot from one note to the next, also while no collector ran.
SELECT
    node,
    why,
    strftime(make_timestamp(min(d.from_us)), '%Y-%m-%dT%H:%M:%S.%fZ') AS "from",
    strftime(make_timestamp(max(d.to_us)), '%Y-%m-%dT%H:%M:%S.%fZ') AS "to",
    count(*) AS notes,
    arg_max(round(seconds(off_us), 3), abs(off_us)) AS off_s,
    arg_max(round(seconds(set_us), 3), abs(set_us)) AS set_s,
    max(round(seconds(asleep_us), 3)) AS asleep_s
FROM clock_doubt AS d
SEMI JOIN checked_time AS c ON d.to_us >= c.from_us AND d.from_us < c.to_us
GROUP BY node, why
ORDER BY ALL
