-- The ledger's rows of single segments added up to runs, by islands.
-- In: row (the ledger, a row a segment), block (`block.sql`), job_cut. Out: ledger.
WITH
placed AS (
    SELECT
        r.*,
        b.slot, b.stretch, b.known,
        coalesce(c.step_us, 30000000) AS step_us,
        coalesce(c.cuts, []) AS cuts,
        coalesce(c.gaps, false) AS gaps
    FROM row AS r
    JOIN block AS b USING (device_id, start_us)
    LEFT JOIN job_cut AS c USING (job_id)
),
beside AS (
    SELECT
        *,
        (
            (known = 'none' AND gaps)
            OR end_before_us IS DISTINCT FROM start_us
            OR len(list_filter(cuts, lambda us: us > start_before_us AND us < end_us)) > 0
            OR (job_id IS NOT NULL AND start_before_us // step_us <> start_us // step_us)
        )::INT AS begins
    FROM (
        SELECT *, lag(start_us) OVER alike AS start_before_us, lag(end_us) OVER alike AS end_before_us
        FROM placed
        WINDOW alike AS (
            PARTITION BY
                device_id, node, slot, stretch, known, account, job_id, method, meter, attribution, k,
                reasons, counter_nj IS NULL
            ORDER BY start_us
        )
    )
),
numbered AS (
    SELECT *, sum(begins) OVER alike AS run
    FROM beside
    WINDOW alike AS (
        PARTITION BY
            device_id, node, slot, stretch, known, account, job_id, method, meter, attribution, k,
            reasons, counter_nj IS NULL
        ORDER BY start_us
    )
)
SELECT
    device_id,
    node,
    min(start_us) AS start_us,
    max(end_us) AS end_us,
    account,
    job_id,
    sum(energy_nj)::BIGINT AS energy_nj,
    sum(low_nj)::BIGINT AS low_nj,
    sum(high_nj)::BIGINT AS high_nj,
    method,
    meter,
    attribution,
    k,
    sum(integral_nj)::BIGINT AS integral_nj,
    sum(counter_nj)::BIGINT AS counter_nj,
    sum(covered_us)::BIGINT AS covered_us,
    sum(device_us)::BIGINT AS device_us,
    max(max_gap_us) AS max_gap_us,
    reasons,
    count(*) AS segments
FROM numbered
GROUP BY
    device_id, node, slot, stretch, known, account, job_id, method, meter, attribution, k,
    reasons, counter_nj IS NULL, run
