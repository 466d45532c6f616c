-- The instants at which the time of each job is divided in an hour: no run of the ledger holds one,
-- but for a single segment.
-- In: token_growth, token_point (all readings around the hour), phase_cell, cut_claim, node_until,
-- parameters. Out: one row a job of which tokens were read: job_id, step_us (its runs end at the
-- multiples of this too), cuts (a list, ascending), gaps (whether its runs of no energy may be
-- divided: each of their segments is a row).
--
-- They are the edges of the windows of `phase_cell.sql`; of the joint time of `time_state.sql`,
-- wherever it may begin or end; and of the shortest interval that `job_efficiency_hour.sql` may
-- choose, if that is shorter than a block.
--
-- The joint time ends where tokens begin or cease to be known. A server is missed only while the
-- job holds a board of its node: of a job on several nodes, the claims of one end that of others.
-- Where the energy of one of several boards begins or ceases to be known, that of all others is not
-- known: only rows without any energy can be divided there.
WITH
read AS (
    SELECT job_id, unnest([min(ts_us), max(ts_us)]) AS at_us
    FROM token_point
    GROUP BY job_id, node, source_id, model, engine, kind, metric, series, run
    UNION ALL
    SELECT job_id, unnest([min(from_us), max(to_us)])
    FROM token_growth
    GROUP BY job_id, counter
    UNION ALL
    SELECT job_id, unnest([start_us, end_us])
    FROM phase_cell
    UNION ALL
    -- A running job claims a board up to the last reading of its node.
    SELECT c.job_id, unnest([c.start_us, coalesce(c.end_us, u.until_us)])
    FROM cut_claim AS c
    LEFT JOIN node_until AS u USING (node)
    WHERE c.nodes
),
cut AS (
    SELECT job_id, list_sort(list(DISTINCT at_us)) AS cuts
    FROM read, parameters
    WHERE at_us > hour_us AND at_us < hour_us + us_per_hour()
    GROUP BY job_id
),
growth AS (
    SELECT
        job_id, kind, counter, tokens,
        to_us - lag(to_us) OVER (PARTITION BY counter, tokens > 0 ORDER BY to_us) AS apart_us
    FROM token_growth, parameters
    WHERE
        kind IN ('generated', 'trained')
        AND to_us > hour_us AND from_us < hour_us + us_per_hour()
),
step AS (
    SELECT job_id, min(step_us) AS step_us
    FROM (
        SELECT
            job_id,
            coalesce(list_filter(
                [10 * us_per_second(), 20 * us_per_second()],
                lambda us: us >= 10 * coalesce(
                    quantile_disc(apart_us, 0.5) FILTER (WHERE tokens > 0), 0
                )
            )[1], 30 * us_per_second()) AS step_us
        FROM growth
        GROUP BY job_id, kind
    )
    GROUP BY job_id
)
SELECT
    job_id,
    coalesce(s.step_us, 30 * us_per_second())::BIGINT AS step_us,
    coalesce(c.cuts, []::BIGINT[])::BIGINT[] AS cuts,
    job_id IN (SELECT job_id FROM cut_claim WHERE boards) AS gaps
FROM cut AS c
FULL JOIN step AS s USING (job_id)
ORDER BY job_id
