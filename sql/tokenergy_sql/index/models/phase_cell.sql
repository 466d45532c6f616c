-- Where the windows of an hour begin and end from which energy per prompt token and per generated
-- token is estimated.
-- In: token_growth (of the hour and ten minutes around it), parameters. Out: one row a job and
-- window: job_id, window_us (length of the job's grid), place (its number in the hour), start_us,
-- end_us.
--
-- A window begins and ends at readings of the job's most often read counter, the first in each cell
-- of a grid. So its tokens are differences of what was read and not interpolated: an error in what
-- a regression takes as given would pull its slopes towards zero.
WITH
served AS (
    SELECT job_id
    FROM token_growth
    GROUP BY job_id
    HAVING
        sum(tokens) FILTER (WHERE kind = 'prompt_computed') > 0
        AND sum(tokens) FILTER (WHERE kind = 'generated') > 0
),
growth AS MATERIALIZED (
    SELECT g.job_id, g.counter, g.from_us, g.to_us, g.tokens
    FROM token_growth AS g
    JOIN served USING (job_id)
    CROSS JOIN parameters AS p
    WHERE
        g.kind IN ('prompt_computed', 'generated')
        AND g.to_us > p.hour_us AND g.from_us < p.hour_us + us_per_hour()
),
-- How far apart the readings are at which a counter has grown. What moves only when a request ends
-- needs windows of several requests.
spacing AS (
    SELECT job_id, max(apart_us) AS apart_us
    FROM (
        SELECT job_id, quantile_disc(apart_us, 0.5) AS apart_us
        FROM (
            SELECT
                job_id, counter,
                to_us - lag(to_us) OVER (PARTITION BY counter ORDER BY to_us) AS apart_us
            FROM growth
            WHERE tokens > 0
        )
        GROUP BY job_id, counter
    )
    GROUP BY job_id
),
grid AS (
    SELECT s.job_id, min(l.us) AS window_us
    FROM spacing AS s
    JOIN (SELECT unnest([30, 60, 120, 300]) * us_per_second() AS us) AS l
        ON l.us >= 5 * s.apart_us
    GROUP BY s.job_id
),
lead_counter AS (
    SELECT DISTINCT ON (job_id) job_id, counter
    FROM (SELECT job_id, counter, count(*) AS readings FROM growth GROUP BY ALL)
    ORDER BY job_id, readings DESC, counter
),
edge AS (
    SELECT
        g.job_id, r.window_us, (g.at_us - p.hour_us) // r.window_us AS place,
        min(g.at_us) AS at_us
    FROM (SELECT job_id, counter, unnest([from_us, to_us]) AS at_us FROM growth) AS g
    JOIN lead_counter USING (job_id, counter)
    JOIN grid AS r USING (job_id)
    CROSS JOIN parameters AS p
    WHERE g.at_us BETWEEN p.hour_us AND p.hour_us + us_per_hour()
    GROUP BY ALL
),
bordered AS (
    SELECT
        *,
        lead(at_us) OVER job AS end_us,
        lead(place) OVER job AS next_place
    FROM edge
    WINDOW job AS (PARTITION BY job_id ORDER BY place)
)
SELECT job_id, window_us, place, at_us AS start_us, end_us
FROM bordered
WHERE next_place = place + 1 AND end_us - at_us >= window_us // 2
