-- How finely each job is drawn, and from when to when: no further than the window $least_us to
-- $most_us. In: job_sum, $end_us. Out: the table job_step.
-- The $detailed largest jobs have up to $most_points points, all others $few_points. A step is one
-- of $lengths_us, the shortest that is enough and cuts no segment, or else whole days. Hours are
-- merged to at most $most_hours. Steps of an hour and more are read from ledger_hour.
CREATE TEMP TABLE job_step AS
WITH span AS (
    SELECT
        job_id,
        greatest(start_us, $least_us) AS from_us,
        greatest(least(coalesce(end_us, $end_us), $most_us), from_us + 1) AS to_us,
        CASE
            WHEN row_number() OVER (ORDER BY e_gpu_nj DESC NULLS LAST, job_id) <= $detailed
                THEN $most_points
            ELSE $few_points
        END AS points
    FROM job_sum
),
least_step AS (
    SELECT *, greatest((to_us - from_us) / points, $longest_us) AS least_us FROM span
)
SELECT
    job_id,
    from_us,
    to_us,
    coalesce(
        list_filter($lengths_us, lambda us: us >= least_us)[1],
        us_per_day() * ceil(least_us / us_per_day())::BIGINT
    )::BIGINT AS step_us,
    us_per_hour()
    * ceil((ceil(to_us / us_per_hour()) - from_us // us_per_hour()) / $most_hours)::BIGINT
        AS hours_us
FROM least_step
