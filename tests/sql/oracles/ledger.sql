-- The ledger of one hour: every segment's energy booked to accounts, to the nanojoule.
-- In: part (what the meters say, see `part.sql`), segment, allocation, state, job_activity.
-- Out: ledger. Energy is split by the shares of the jobs that hold the device, with a telescoping
-- rule, so that the parts add up to the unit; then the account is chosen.
WITH
-- 1. Split by shares ---------------------------------------------------------------------------
-- A job that was recorded twice on one device holds it once; several MIG instances of a board add up.
held AS (
    SELECT
        s.device_id, s.start_us, a.job_id, a.mig_id, max(a.share_ppm) AS share_ppm
    FROM segment AS s
    JOIN allocation AS a
      ON a.device_id = s.device_id
     AND a.start_us <= s.start_us
     AND (a.end_us IS NULL OR a.end_us >= s.end_us)
    GROUP BY ALL
),
holder AS (
    SELECT device_id, start_us, job_id, least(1000000, sum(share_ppm)) AS share_ppm
    FROM held
    GROUP BY ALL
),
holders AS (
    SELECT
        device_id, start_us,
        sum(share_ppm) AS declared_ppm,
        greatest(1000000, sum(share_ppm)) AS whole_ppm,
        count(*) AS jobs
    FROM holder
    GROUP BY ALL
),
claim AS (
    SELECT device_id, start_us, job_id, share_ppm FROM holder
    UNION ALL
    SELECT device_id, start_us, NULL, 1000000 - declared_ppm
    FROM holders
    WHERE declared_ppm < 1000000
),
running_claim AS (
    SELECT
        c.*,
        h.whole_ppm,
        h.jobs > 1 OR h.declared_ppm < 1000000 AS shared,
        sum(c.share_ppm) OVER (
            PARTITION BY c.device_id, c.start_us ORDER BY c.job_id NULLS LAST
        ) AS upper_ppm
    FROM claim AS c
    JOIN holders AS h USING (device_id, start_us)
),
split AS (
    SELECT
        p.*,
        c.job_id,
        coalesce(c.upper_ppm, 1) AS upper,
        coalesce(c.upper_ppm - c.share_ppm, 0) AS lower,
        coalesce(c.whole_ppm, 1) AS whole,
        coalesce(c.shared, false) AS shared
    FROM part AS p
    LEFT JOIN running_claim AS c USING (device_id, start_us)
),
-- 2. Choose the account ------------------------------------------------------------------------
-- What the state gauges say of a segment: those read inside it, or else the last within 2 s.
-- Process lists are asked for more rarely: the last within 15 s.
inside AS (
    SELECT s.device_id, s.start_us, max(g.sm_util) AS sm_util
    FROM state AS g
    ASOF JOIN segment AS s ON s.device_id = g.device_id AND s.start_us <= g.ts_us
    WHERE g.ts_us < s.end_us
    GROUP BY ALL
),
before AS (
    SELECT s.device_id, s.start_us, g.sm_util
    FROM segment AS s
    ASOF JOIN (SELECT * FROM state WHERE sm_util IS NOT NULL) AS g
      ON g.device_id = s.device_id AND g.ts_us <= s.start_us
    WHERE s.start_us - g.ts_us <= 2000000
),
process AS (
    SELECT s.device_id, s.start_us, len(g.pids) > 0 AS running
    FROM segment AS s
    ASOF JOIN (SELECT * FROM state WHERE pids IS NOT NULL) AS g
      ON g.device_id = s.device_id AND g.ts_us <= s.end_us
    WHERE s.end_us - g.ts_us <= 15000000
),
evidence AS (
    SELECT
        s.device_id, s.start_us,
        coalesce(i.sm_util, b.sm_util) > 0 AS busy,
        p.running
    FROM segment AS s
    LEFT JOIN inside AS i USING (device_id, start_us)
    LEFT JOIN before AS b USING (device_id, start_us)
    LEFT JOIN process AS p USING (device_id, start_us)
),
token_evidence AS (
    SELECT h.device_id, h.start_us, h.job_id, bool_or(a.moved) AS moved
    FROM holder AS h
    JOIN segment AS s USING (device_id, start_us)
    JOIN job_activity AS a
      ON a.job_id = h.job_id AND a.from_us < s.end_us AND a.to_us > s.start_us
    GROUP BY ALL
),
placed AS (
    SELECT
        s.*,
        CASE
            WHEN s.meter = 'none' THEN 'gap'
            WHEN s.job_id IS NULL THEN CASE
                WHEN NOT s.shared AND (e.running OR e.busy) THEN 'unattributed'
                ELSE 'free_idle'
            END
            -- With no evidence at all the allocation itself is taken for work.
            WHEN e.busy OR t.moved OR (e.busy IS NULL AND t.moved IS NULL) THEN 'active'
            ELSE 'resident_idle'
        END AS account
    FROM split AS s
    LEFT JOIN evidence AS e USING (device_id, start_us)
    LEFT JOIN token_evidence AS t
      ON t.device_id = s.device_id AND t.start_us = s.start_us AND t.job_id = s.job_id
)
SELECT
    device_id,
    node,
    start_us,
    end_us,
    account,
    job_id,
    (booked_nj::HUGEINT * upper // whole - booked_nj::HUGEINT * lower // whole)::BIGINT AS energy_nj,
    (low_nj::HUGEINT * upper // whole - low_nj::HUGEINT * lower // whole)::BIGINT AS low_nj,
    (high_nj::HUGEINT * upper // whole - high_nj::HUGEINT * lower // whole)::BIGINT AS high_nj,
    method,
    meter,
    CASE WHEN shared THEN 'shared_estimate' ELSE 'exclusive' END AS attribution,
    k,
    (integral_nj::HUGEINT * upper // whole - integral_nj::HUGEINT * lower // whole)::BIGINT
        AS integral_nj,
    (counter_nj::HUGEINT * upper // whole - counter_nj::HUGEINT * lower // whole)::BIGINT
        AS counter_nj,
    (covered_us::HUGEINT * upper // whole - covered_us::HUGEINT * lower // whole)::BIGINT
        AS covered_us,
    (booked_us::HUGEINT * upper // whole - booked_us::HUGEINT * lower // whole)::BIGINT
        AS device_us,
    max_gap_us,
    CASE
        WHEN method = 'samples' THEN reasons
        ELSE nullif(regexp_replace(reasons, ',?sparse', ''), '')
    END AS reasons
FROM placed
