-- The ledger of one hour: every segment's energy booked to accounts, to the nanojoule.
-- In: segment, allocation, state, device, job_activity, parameters. Out: ledger.
--
-- 1. Reconcile. In a slot of 30 s, k = counter / integral over the segments that have both. The
--    counter is the total, the samples are its shape: with S the running sum of integrals inside a
--    block, I its total and D the counter's, a segment is booked floor(S D / I) minus the same of
--    its predecessor, so a block adds up to D exactly. A block is a slot, cut at those job edges at
--    which the counter was read within 50 ms: there the counter itself knows what each job drew.
-- 2. Split by the shares of the jobs that hold the device, by the same telescoping rule.
-- 3. Choose the account.
WITH
-- 1. Reconcile --------------------------------------------------------------------------------
job_edge AS (
    SELECT device_id, start_us AS cut_us FROM allocation
    UNION
    SELECT device_id, end_us FROM allocation WHERE end_us IS NOT NULL
),
-- A counter that stood still through a slot in which power was drawn is broken: it is left out.
counted AS (
    SELECT
        * REPLACE (
            CASE
                WHEN sum(counter_nj) OVER slot = 0 AND sum(energy_nj) OVER slot > 0 THEN NULL
                ELSE counter_nj
            END AS counter_nj
        )
    FROM segment
    WINDOW slot AS (PARTITION BY device_id, start_us // 30000000)
),
classed AS (
    SELECT
        s.*,
        s.end_us - s.start_us AS length_us,
        s.start_us // 30000000 AS slot,
        CASE
            WHEN counter_nj IS NOT NULL AND covered_us = s.end_us - s.start_us AND energy_nj > 0
                THEN 'both'
            WHEN counter_nj IS NOT NULL THEN 'counter'
            WHEN covered_us > 0 THEN 'samples'
            ELSE 'none'
        END AS known,
        -- A block ends where the counter itself divides two jobs, and where it begins anew.
        coalesce(
            (e.cut_us IS NOT NULL AND lag(s.counter_off_us) OVER device <= 50000)
            OR (s.counter_nj IS NULL) <> (lag(s.counter_nj) OVER device IS NULL)
            OR s.start_us <> lag(s.end_us) OVER device,
            false
        )::INT AS divides
    FROM counted AS s
    LEFT JOIN job_edge AS e ON e.device_id = s.device_id AND e.cut_us = s.start_us
    WINDOW device AS (PARTITION BY s.device_id ORDER BY s.start_us)
),
blocked AS (
    SELECT
        *,
        sum(divides) OVER (PARTITION BY device_id ORDER BY start_us) AS stretch
    FROM classed
),
totalled AS (
    SELECT
        *,
        sum(energy_nj) OVER block AS block_integral,
        sum(counter_nj) OVER block AS block_counter,
        sum(energy_nj) OVER (block ORDER BY start_us) AS running,
        sum(counter_nj) OVER slot AS slot_counter,
        sum(energy_nj) OVER slot AS slot_integral,
        sum(length_us) OVER slot AS slot_us,
        sum(counter_nj) OVER hour AS hour_counter,
        sum(energy_nj) OVER hour AS hour_integral
    FROM blocked
    WINDOW
        block AS (PARTITION BY device_id, slot, stretch, known),
        slot AS (PARTITION BY device_id, slot, known),
        hour AS (PARTITION BY device_id, known)
),
reconciled AS (
    SELECT
        *,
        CASE known
            WHEN 'both' THEN
                running * block_counter // block_integral
                - (running - energy_nj) * block_counter // block_integral
            WHEN 'counter' THEN counter_nj
            WHEN 'samples' THEN energy_nj
        END AS booked_nj,
        CASE
            WHEN known <> 'both' THEN NULL
            -- A slot cut short by the edge of the watch says little: take the hour's.
            WHEN slot_us >= 5000000 THEN slot_counter::DOUBLE / slot_integral::DOUBLE
            ELSE hour_counter::DOUBLE / hour_integral::DOUBLE
        END AS k
    FROM totalled
),
power_range AS (
    SELECT device_id, min(min_mw) AS idle_mw FROM segment GROUP BY device_id
),
-- A limit may be lowered and raised again: what it once was bounds what is not known.
power_limit AS (
    SELECT device_id, max(limit_mw) AS limit_mw FROM device GROUP BY device_id
),
metered AS (
    SELECT
        r.*,
        CASE known
            WHEN 'counter' THEN 'counter_gap'
            WHEN 'samples' THEN 'samples'
            WHEN 'none' THEN 'missing'
            ELSE CASE
                WHEN abs(k - 1) <= 0.02 THEN 'counter'
                WHEN abs(k - 1) <= 0.05 THEN 'counter_flagged'
                ELSE 'disputed'
            END
        END AS method,
        CASE
            WHEN known IN ('both', 'counter') THEN 'counter'
            WHEN known = 'samples' THEN 'samples'
            ELSE 'none'
        END AS meter,
        coalesce(p.idle_mw, 0) AS idle_mw,
        coalesce(d.limit_mw, parameters.limit_unknown_mw) AS limit_mw,
        parameters.error_ppm
    FROM reconciled AS r
    CROSS JOIN parameters
    LEFT JOIN power_range AS p USING (device_id)
    LEFT JOIN power_limit AS d USING (device_id)
),
-- A segment known by samples in part has two rows: what was covered, and what is missing.
part AS (
    SELECT
        device_id, node, start_us, end_us, known, method, meter, k, booked_nj, max_gap_us,
        energy_nj AS integral_nj,
        counter_nj,
        covered_us,
        CASE WHEN known = 'samples' THEN covered_us ELSE length_us END AS booked_us,
        CASE
            WHEN known = 'both' AND method <> 'disputed'
                THEN booked_nj - booked_nj * error_ppm // 1000000
            WHEN known = 'both'
                THEN least(booked_nj, energy_nj) * (1000000 - error_ppm) // 1000000
            WHEN known = 'counter'
                THEN least(booked_nj - booked_nj * error_ppm // 1000000,
                           energy_nj + idle_mw::HUGEINT * (length_us - covered_us))
            WHEN known = 'samples' THEN booked_nj - booked_nj * error_ppm // 1000000
            ELSE 0
        END AS low_nj,
        CASE
            WHEN known = 'both' AND method <> 'disputed'
                THEN booked_nj + booked_nj * error_ppm // 1000000 + 1
            WHEN known = 'both'
                THEN greatest(booked_nj, energy_nj) * (1000000 + error_ppm) // 1000000 + 1
            WHEN known = 'counter'
                THEN greatest(booked_nj + booked_nj * error_ppm // 1000000 + 1,
                              energy_nj + limit_mw::HUGEINT * (length_us - covered_us))
            WHEN known = 'samples' THEN booked_nj + booked_nj * error_ppm // 1000000 + 1
            ELSE limit_mw::HUGEINT * length_us
        END AS high_nj
    FROM metered
    UNION ALL
    SELECT
        device_id, node, start_us, end_us, 'none', 'missing', 'none', NULL, NULL, max_gap_us,
        0, NULL, 0,
        length_us - covered_us,
        0,
        limit_mw::HUGEINT * (length_us - covered_us)
    FROM metered
    WHERE known = 'samples' AND covered_us < length_us
),
-- 2. Split by shares ---------------------------------------------------------------------------
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
    SELECT device_id, start_us, job_id, sum(share_ppm) AS share_ppm FROM held GROUP BY ALL
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
-- 3. Choose the account ------------------------------------------------------------------------
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
    max_gap_us
FROM placed
