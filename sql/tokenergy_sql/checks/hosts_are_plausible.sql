-- No host draws less than nothing, or less than its own processors.
-- warn, hourly
-- In: host_hour. Out: the nodes and hours of which a meter, a model or a declaration says so.
--
-- That figure does not count: the next method does (see docs/host-energy.md). Then a meter is wired
-- to something else (one of two power supplies, a neighbour), its scale is wrong, or the model or
-- the declared power is of another kind of node. left_j is what the node's meters leave for the
-- host, over known_s.
SELECT
    node,
    strftime(make_timestamp(hour_us), '%Y-%m-%dT%H:00Z') AS hour,
    array_to_string(list_filter(
        string_split(doubts, ','), lambda one: one = 'below_boards' OR ends_with(one, '_below_cpu')
    ), ',') AS why,
    method AS counted,
    joules(input_nj - input_boards_nj) AS left_j,
    seconds(input_us) AS known_s,
    joules(cpu_low_nj) AS processors_j,
    watts(declared_mw) AS declared_w,
    meters
FROM host_hour
WHERE regexp_matches(coalesce(doubts, ''), 'below_boards|_below_cpu')
ORDER BY ALL
