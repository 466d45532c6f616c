-- Windows of an hour in which a server's energy and its tokens are both known: what energy per
-- prompt token and per generated token is estimated from.
-- In: phase_cell, token_growth (of the hour and ten minutes around it), time_state, ledger,
-- sensor_class, job_facts, parameters. Out: one row a job and window: job_id, place (its number in
-- the hour), window_us (length of the job's grid), start_us, end_us, device_us, prompt, generated,
-- energy_nj, low_ppm and high_ppm (bounds of true over metered energy, from the meters' gains),
-- reason (why it does not count; NULL: it does).
--
-- Energy at the edges is that of the segment that holds them, divided by time: see `job_cut.sql`.
WITH
cell AS MATERIALIZED (
    SELECT c.*
    FROM phase_cell AS c
    JOIN job_facts AS f USING (job_id)
    WHERE f.workload = 'inference'
),
grid AS MATERIALIZED (
    SELECT DISTINCT job_id, window_us FROM cell
),
growth AS MATERIALIZED (
    SELECT g.job_id, g.kind, g.counter, g.from_us, g.to_us, g.tokens
    FROM token_growth AS g
    SEMI JOIN grid USING (job_id)
    CROSS JOIN parameters AS p
    WHERE
        g.kind IN ('prompt_computed', 'generated')
        AND g.to_us > p.hour_us AND g.from_us < p.hour_us + us_per_hour()
),
-- A window of cell k lies in the cells k and k + 1: what begins in cell k may be of window k - 1.
dealt AS (
    SELECT
        g.*,
        unnest(range(
            greatest(g.from_us - p.hour_us, 0) // r.window_us - 1,
            least(g.to_us - p.hour_us, us_per_hour()) // r.window_us + 1
        )) AS place
    FROM growth AS g
    JOIN grid AS r USING (job_id)
    CROSS JOIN parameters AS p
),
counted AS (
    SELECT
        c.job_id, c.place, d.kind,
        sum(
            d.tokens::HUGEINT * (least(d.to_us, c.end_us) - d.from_us) // (d.to_us - d.from_us)
            - d.tokens::HUGEINT * (greatest(d.from_us, c.start_us) - d.from_us)
            // (d.to_us - d.from_us)
        )::BIGINT AS tokens,
        -- Readings further apart than a window say nothing of it, unless nothing grew.
        bool_or(d.tokens > 0 AND d.to_us - d.from_us > c.window_us) AS apart
    FROM cell AS c
    JOIN dealt AS d
        ON d.job_id = c.job_id AND d.place = c.place
        AND d.from_us < c.end_us AND d.to_us > c.start_us
    GROUP BY ALL
),
told AS (
    SELECT
        job_id, place,
        coalesce(sum(tokens) FILTER (WHERE kind = 'prompt_computed'), 0)::BIGINT AS prompt,
        coalesce(sum(tokens) FILTER (WHERE kind = 'generated'), 0)::BIGINT AS generated,
        bool_or(apart) AS apart
    FROM counted
    GROUP BY ALL
),
-- Each row of the ledger with what is wrong with it, and how far off its meter may be.
metered AS (
    SELECT
        l.job_id, l.start_us, l.end_us, l.energy_nj, l.device_us,
        -- Where the meters dispute, either may be the one that is right: k is counter / samples.
        greatest(l.k, 0.5) AS factor,
        CASE
            WHEN l.method = 'disputed'
                THEN least(s.counter_low_ppm, floor(s.sensor_low_ppm / factor)::BIGINT)
            WHEN l.meter = 'counter' THEN s.counter_low_ppm
            ELSE s.sensor_low_ppm
        END AS low_ppm,
        CASE
            WHEN l.method = 'disputed'
                THEN greatest(s.counter_high_ppm, ceil(s.sensor_high_ppm / factor)::BIGINT)
            WHEN l.meter = 'counter' THEN s.counter_high_ppm
            ELSE s.sensor_high_ppm
        END AS high_ppm,
        CASE
            WHEN l.energy_nj IS NULL THEN 'gap'
            -- A share of a board's energy says nothing of what the job's own tokens cost.
            WHEN l.attribution <> 'exclusive' THEN 'shared_estimate'
            WHEN l.method NOT IN ('counter', 'counter_flagged', 'disputed', 'samples') THEN 'gap'
            WHEN l.method = 'disputed' AND coalesce(l.k <= 0.5, true) THEN 'disputed'
            -- What a sensor does not look at may have been anything: no slope follows from it.
            WHEN l.meter = 'samples' AND s.seen_ppm < whole_ppm() THEN 'sampled_in_part'
            WHEN l.meter = 'samples' AND contains(coalesce(l.reasons, ''), 'sparse') THEN 'sparse'
        END AS wrong
    FROM ledger AS l
    JOIN grid USING (job_id)
    LEFT JOIN sensor_class AS s USING (device_id)
),
-- Boards whose runs have the same edges together. What an edge of a window divides is a segment of
-- all of them.
drawn AS (
    SELECT
        m.job_id, m.start_us, m.end_us,
        sum(m.energy_nj)::HUGEINT AS nj,
        sum(m.device_us)::HUGEINT AS device_us,
        min(m.low_ppm) AS low_ppm,
        max(m.high_ppm) AS high_ppm,
        min(m.wrong) AS wrong,
        (m.start_us - p.hour_us) // r.window_us - 1 AS first_place,
        (m.end_us - p.hour_us - 1) // r.window_us + 1 AS place_after
    FROM metered AS m
    JOIN grid AS r USING (job_id)
    CROSS JOIN parameters AS p
    GROUP BY ALL
),
spent AS (
    SELECT
        c.job_id, c.place,
        sum(CASE
            WHEN d.start_us >= c.start_us AND d.end_us <= c.end_us THEN d.nj
            ELSE
                d.nj * (least(d.end_us, c.end_us) - d.start_us) // (d.end_us - d.start_us)
                - d.nj * (greatest(d.start_us, c.start_us) - d.start_us) // (d.end_us - d.start_us)
        END) AS energy_nj,
        sum(CASE
            WHEN d.start_us >= c.start_us AND d.end_us <= c.end_us THEN d.device_us
            ELSE
                d.device_us * (least(d.end_us, c.end_us) - d.start_us) // (d.end_us - d.start_us)
                - d.device_us * (greatest(d.start_us, c.start_us) - d.start_us)
                // (d.end_us - d.start_us)
        END)::BIGINT AS device_us,
        min(d.low_ppm) AS low_ppm,
        max(d.high_ppm) AS high_ppm,
        min(d.wrong) AS wrong,
        min(d.start_us) AS from_us,
        max(d.end_us) AS to_us
    FROM (SELECT *, unnest(range(first_place, place_after)) AS place FROM drawn) AS d
    JOIN cell AS c
        ON c.job_id = d.job_id AND c.place = d.place
        AND d.start_us < c.end_us AND d.end_us > c.start_us
    GROUP BY ALL
),
-- Windows inside one span of time in which all servers of the job were read, and energy is known.
known AS (
    SELECT DISTINCT c.job_id, c.place
    FROM cell AS c
    JOIN time_state AS t
        ON t.job_id = c.job_id AND t.from_us <= c.start_us AND t.to_us >= c.end_us
    WHERE t.tokens_known AND t.energy_known
)
SELECT
    c.job_id,
    c.place,
    c.window_us,
    c.start_us,
    c.end_us,
    s.device_us,
    t.prompt,
    t.generated,
    s.energy_nj,
    s.low_ppm,
    s.high_ppm,
    CASE
        WHEN s.wrong IS NOT NULL THEN s.wrong
        WHEN k.job_id IS NULL OR t.apart THEN 'partial_tokens'
        WHEN s.from_us > c.start_us OR s.to_us < c.end_us OR s.device_us <= 0 THEN 'gap'
    END AS reason
FROM cell AS c
JOIN spent AS s USING (job_id, place)
JOIN told AS t USING (job_id, place)
LEFT JOIN known AS k USING (job_id, place)
