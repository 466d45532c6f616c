-- What the books have of a node's processors is what their counters showed.
-- fail, hourly
-- In: host_hour, host, removed_hour. Out: the nodes and hours of which it is not.
--
-- Counted again in SQL where a node was watched for the whole hour and each counter is known for
-- all of it within one run and epoch: each at both ends of the hour, between the readings around
-- them, rounded down. The packages and their memory are added; the platform (psys) only where there
-- is no package. Readings that came after the books are named too: run `tokenergy index`. Where
-- readings of an hour were removed, nothing can be counted again.
WITH
left_out AS (
    SELECT hour_us, node FROM removed_hour SEMI JOIN host_hour USING (hour_us)
),
booked AS (
    SELECT hour_us, node, domains, cpu_nj::HUGEINT AS cpu_nj
    FROM host_hour
    WHERE
        watched_us = us_per_hour() AND cpu_us = us_per_hour() AND cpu_nj IS NOT NULL
        AND hour_us NOT IN (SELECT hour_us FROM left_out)
),
edge AS (
    SELECT *, unnest([hour_us, hour_us + us_per_hour()]) AS edge_us FROM booked
),
near AS (
    SELECT
        e.hour_us, e.node, e.edge_us, h.domain, h.run, h.epoch,
        max(h.ts_us) FILTER (WHERE h.ts_us <= e.edge_us) AS before_us,
        max(h.energy_uj) FILTER (WHERE h.ts_us <= e.edge_us) AS before_uj,
        min(h.ts_us) FILTER (WHERE h.ts_us >= e.edge_us) AS after_us,
        min(h.energy_uj) FILTER (WHERE h.ts_us >= e.edge_us) AS after_uj
    FROM edge AS e
    JOIN host AS h
        ON h.node = e.node
        AND h.ts_us BETWEEN e.edge_us - us_per_hour() // 6 AND e.edge_us + us_per_hour() // 6
    WHERE
        h.energy_uj IS NOT NULL
        AND h.epoch IS NOT NULL
        AND (
            regexp_matches(h.domain, '^(package|dram)-')
            OR (h.domain LIKE 'psys-%' AND NOT contains(e.domains, 'package'))
        )
    GROUP BY ALL
),
shown AS (
    SELECT
        *,
        CASE
            WHEN before_us = after_us THEN 1000 * before_uj::HUGEINT
            ELSE
                1000 * before_uj::HUGEINT
                + 1000 * (after_uj - before_uj)::HUGEINT * (edge_us - before_us)
                // (after_us - before_us)
        END AS shown_nj
    FROM near
    WHERE before_us IS NOT NULL AND after_us IS NOT NULL
),
counted AS (
    SELECT
        hour_us, node, domain, run, epoch,
        max(shown_nj) - min(shown_nj) AS own_nj
    FROM shown
    GROUP BY ALL
    HAVING count(*) = 2
),
-- Where the clock was set back two runs have the same time.
whole AS (
    SELECT
        hour_us, node,
        sum(own_nj)::HUGEINT AS own_nj,
        string_agg(domain, ',' ORDER BY domain) AS domains
    FROM counted
    GROUP BY ALL
    HAVING count(*) = count(DISTINCT domain)
)
SELECT
    node,
    strftime(make_timestamp(hour_us), '%Y-%m-%dT%H:00Z') AS hour,
    domains,
    b.cpu_nj,
    w.own_nj AS counted_nj
FROM booked AS b
JOIN whole AS w USING (hour_us, node, domains)
WHERE b.cpu_nj <> w.own_nj
ORDER BY ALL
