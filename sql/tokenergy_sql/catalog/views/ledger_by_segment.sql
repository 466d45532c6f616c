-- The ledger with a row for each segment: each run divided in the shape of its samples.
-- In: ledger, segment; since and till, instants between which rows lie, wholly or in part (NULL: no
-- limit); jobs, a list of job_id (NULL: all rows, those without a job too). Out: one row a segment,
-- account and job.
--
-- A row of the ledger adds up segments of up to 30 s. Here its energy and its bounds are spread
-- over them by the energy that the samples have in each (by time where they have none), and its
-- times by time, by the telescoping rule: the rows add up to the ledger. A run whose segments are
-- no longer there, or were made again with other edges, stays one row.
CREATE MACRO ledger_by_segment(since := NULL, till := NULL, jobs := NULL) AS TABLE
    WITH
    run AS MATERIALIZED (
        SELECT *, start_us // 30000000 AS slot, row_number() OVER () AS place
        FROM ledger
        WHERE
            start_us > coalesce(stamp_us(since), -9000000000000000) - 3600000000
            AND start_us < coalesce(stamp_us(till), 9000000000000000)
            AND (jobs IS NULL OR list_contains(jobs, job_id))
            -- A wrong instant is no missing one: that would be the whole ledger.
            AND good_argument(
                (since IS NULL OR stamp_us(since) IS NOT NULL)
                AND (till IS NULL OR stamp_us(till) IS NOT NULL),
                'ledger_by_segment: expected instants as TIMESTAMP or ISO 8601'
            )
    ),
    part AS MATERIALIZED (
        SELECT
            r.place,
            s.start_us AS from_us,
            s.end_us AS to_us,
            r.end_us - r.start_us AS length_us,
            s.energy_nj AS drawn_nj,
            sum(s.energy_nj) OVER run AS upper_nj
        FROM run AS r
        JOIN segment AS s
            ON s.device_id = r.device_id AND s.node = r.node
            AND s.start_us // 30000000 = r.slot
            AND s.start_us >= r.start_us AND s.end_us <= r.end_us
        WHERE
            s.start_us > coalesce(stamp_us(since), -9000000000000000) - 3600000000
            -- All of a run that begins before: its shape is that of all its segments.
            AND s.start_us < coalesce(stamp_us(till), 9000000000000000) + 30000000
        WINDOW run AS (PARTITION BY r.place ORDER BY s.start_us)
    ),
    whole AS (
        SELECT place, max(upper_nj) AS whole_nj
        FROM part
        GROUP BY place
        HAVING sum(to_us - from_us) = any_value(length_us)
    ),
    weighed AS (
        SELECT
            r.*,
            p.from_us,
            p.to_us,
            CASE WHEN whole_nj > 0 THEN p.upper_nj - p.drawn_nj ELSE p.from_us - r.start_us END
                AS lower,
            CASE WHEN whole_nj > 0 THEN p.upper_nj ELSE p.to_us - r.start_us END AS upper,
            CASE WHEN whole_nj > 0 THEN whole_nj ELSE r.end_us - r.start_us END AS whole
        FROM part AS p
        JOIN run AS r USING (place)
        JOIN whole AS w USING (place)
        UNION ALL
        SELECT r.*, r.start_us, r.end_us, 0, 1, 1
        FROM run AS r
        ANTI JOIN whole USING (place)
    )
    SELECT
        device_id,
        node,
        from_us AS start_us,
        to_us AS end_us,
        account,
        job_id,
        part_of(energy_nj, lower, upper, whole)::BIGINT AS energy_nj,
        part_of(low_nj, lower, upper, whole)::BIGINT AS low_nj,
        part_of(high_nj, lower, upper, whole)::BIGINT AS high_nj,
        method,
        meter,
        attribution,
        part_of(
            covered_us, from_us - start_us, to_us - start_us, end_us - start_us
        )::BIGINT AS covered_us,
        part_of(
            device_us, from_us - start_us, to_us - start_us, end_us - start_us
        )::BIGINT AS device_us,
        reasons
    FROM weighed
    WHERE
        to_us > coalesce(stamp_us(since), -9000000000000000)
        AND from_us < coalesce(stamp_us(till), 9000000000000000)
