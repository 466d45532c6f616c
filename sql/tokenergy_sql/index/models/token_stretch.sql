-- The readings of counters of which several starts were seen, cut where the start changes.
-- In: token_seen, token_start. Out: its columns, and stretch: the number of the part of its run.
--
-- Within a numbered run of the collector all stamps and starts follow one clock: it is one stretch.
-- Rows without a run number may be of several runs: a stretch ends where the start moves by more
-- than a second.
WITH
reading AS (
    SELECT
        p.* EXCLUDE (since_us),
        -- A page may lack the start for once.
        coalesce(
            since_us,
            last_value(since_us IGNORE NULLS) OVER (
                PARTITION BY counter ORDER BY run, ts_us, value, since_us NULLS FIRST
                ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
            ),
            first_value(since_us IGNORE NULLS) OVER (
                PARTITION BY counter ORDER BY run, ts_us, value, since_us NULLS FIRST
                ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING
            )
        ) AS since_us
    FROM token_seen AS p
    SEMI JOIN (SELECT counter FROM token_start WHERE several) USING (counter)
),
turned AS (
    SELECT
        *,
        run = 0 AND abs(since_us - lag(since_us) OVER in_order) > us_per_second() AS turns
    FROM reading
    WINDOW in_order AS (PARTITION BY counter, run ORDER BY ts_us, value, since_us)
)
SELECT
    * EXCLUDE (turns),
    count(*) FILTER (WHERE turns) OVER (
        PARTITION BY counter, run ORDER BY ts_us, value, since_us
    ) AS stretch
FROM turned
