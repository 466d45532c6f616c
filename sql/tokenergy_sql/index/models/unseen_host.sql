-- What hosts may have drawn for jobs in time that nothing recorded: no more than all of it.
-- In: claim_span, host_share, host_hour, site, site_node. Out: one row a job with such time:
-- job_id, unseen_host_nj (NULL: of one of these hosts no power is declared or known in the hour).
--
-- Of a host a job can bear its power for as long as the job claimed a board of it, however many
-- boards that are. Its power is the declared one, or the most that it may have drawn on average
-- while its node was watched in the hour, if that is more. What the job bears already, of that
-- time, is subtracted. And no more than its power for as long as a board that the job claimed was
-- unseen: without that, the bound would jump where a claim is a microsecond longer than the record.
WITH
unseen AS (
    SELECT DISTINCT job_id, node FROM claim_span WHERE NOT booked
),
span AS (
    SELECT
        job_id,
        node,
        booked,
        from_us,
        to_us,
        max(to_us) OVER in_order AS reached_us,
        max(CASE WHEN NOT booked THEN to_us END) OVER in_order AS unseen_until_us
    FROM claim_span
    SEMI JOIN unseen USING (job_id, node)
    WINDOW in_order AS (
        PARTITION BY job_id, node ORDER BY from_us, to_us
        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    )
),
held AS (
    SELECT
        job_id,
        node,
        sum(greatest(to_us - greatest(from_us, coalesce(reached_us, from_us)), 0)) AS held_us,
        sum(CASE
            WHEN booked THEN 0
            ELSE greatest(to_us - greatest(from_us, coalesce(unseen_until_us, from_us)), 0)
        END) AS unseen_us
    FROM span
    GROUP BY ALL
),
possible AS (
    SELECT
        h.job_id,
        -- `greatest` leaves out what is NULL.
        greatest(
            coalesce(n.host_mw, site.host_mw)::HUGEINT,
            (w.host_high_nj::HUGEINT + w.watched_us - 1) // w.watched_us
        ) AS most_mw,
        least(
            most_mw * h.unseen_us,
            greatest(most_mw * h.held_us - coalesce(b.host_high_nj, 0), 0)
        ) AS more_nj
    FROM held AS h
    CROSS JOIN site
    LEFT JOIN site_node AS n USING (node)
    LEFT JOIN host_hour AS w USING (node)
    LEFT JOIN host_share AS b ON b.job_id = h.job_id AND b.node = h.node
)
SELECT
    job_id,
    CASE WHEN count(most_mw) = count(*) THEN sum(more_nj)::HUGEINT END AS unseen_host_nj
FROM possible
GROUP BY job_id
