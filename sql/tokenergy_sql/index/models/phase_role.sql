-- Energy and tokens of servers that only read prompts, or only generate, in an hour: measured.
-- In: tokens, token_step, token_counter, token_usage, ledger_hour, sums (joint_hour), job_facts,
-- parameters. Out: the rows of phase_role: one a job and role.
--
-- A role is that of all servers of a job on one node, and so of the boards that the job holds
-- there. It is declared (tokens.role), or follows from the counters: a node that is sent its
-- prompts' keys and values by another server and computes a hundredth of them at most decodes; the
-- others of such a job prefill if they generate a twentieth of its tokens at most (one token a
-- request). A job with a node of no role has no rows.
WITH
grown AS (
    SELECT
        c.job_id,
        c.node,
        coalesce(sum(s.tokens) FILTER (WHERE c.kind = 'prompt_computed'), 0) AS computed,
        coalesce(sum(s.tokens) FILTER (WHERE c.kind = 'prompt_external'), 0) AS sent,
        coalesce(sum(s.tokens) FILTER (WHERE c.kind = 'generated'), 0) AS generated
    FROM token_step AS s
    JOIN (SELECT DISTINCT job_id, node, kind, counter FROM token_counter) AS c USING (counter)
    JOIN job_facts AS f ON f.job_id = c.job_id AND f.workload = 'inference'
    CROSS JOIN parameters AS p
    WHERE s.kept AND s.ts_us > p.hour_us AND s.ts_us <= p.hour_us + us_per_hour()
    GROUP BY ALL
),
-- Servers of two roles on one node: nothing says which boards are whose.
declared AS (
    SELECT
        job_key(cluster, job_id) AS job_id,
        node,
        CASE WHEN count(DISTINCT coalesce(role, '')) = 1 THEN any_value(role) ELSE 'mixed' END
            AS role
    FROM tokens, parameters
    WHERE hour_of(ts_us) = hour_us
    GROUP BY ALL
),
decoding AS (
    SELECT
        g.*,
        CASE
            WHEN d.role IS NOT NULL THEN d.role
            WHEN g.sent > 0 AND g.generated > 0 AND g.computed * 100 <= g.sent THEN 'decode'
        END AS role
    FROM grown AS g
    LEFT JOIN declared AS d USING (job_id, node)
),
told AS (
    SELECT
        job_id, node, generated,
        CASE
            WHEN role IS NOT NULL THEN role
            WHEN
                computed > 0 AND bool_or(role = 'decode') OVER job
                AND generated * 20 <= sum(generated) OVER job
                THEN 'prefill'
        END AS role
    FROM decoding
    WINDOW job AS (PARTITION BY job_id)
),
whole AS (
    SELECT
        job_id,
        bool_and(coalesce(role IN ('prefill', 'decode'), false)) AS known,
        count(DISTINCT role) AS roles,
        min(role) AS only_role,
        coalesce(sum(generated) FILTER (WHERE role = 'prefill'), 0)::BIGINT AS first_tokens
    FROM told
    GROUP BY job_id
),
drawn AS (
    SELECT
        l.job_id,
        CASE WHEN w.roles = 1 THEN w.only_role ELSE t.role END AS role,
        sum(l.device_us)::BIGINT AS device_us,
        sum(l.energy_nj)::HUGEINT AS e_gpu_nj,
        sum(l.low_nj)::HUGEINT AS e_gpu_low_nj,
        sum(l.high_nj)::HUGEINT AS e_gpu_high_nj
    FROM ledger_hour AS l
    JOIN whole AS w USING (job_id)
    LEFT JOIN told AS t USING (job_id, node)
    WHERE w.known
    GROUP BY ALL
),
counted AS (
    SELECT
        job_id, kind,
        sum(tokens)::BIGINT AS tokens, sum(low)::BIGINT AS low, sum(high)::BIGINT AS high
    FROM token_usage
    WHERE hour_us = (SELECT hour_us FROM parameters)
    GROUP BY ALL
)
SELECT
    d.job_id,
    p.hour_us,
    d.role,
    d.device_us,
    d.e_gpu_nj,
    d.e_gpu_low_nj,
    d.e_gpu_high_nj,
    -- What a prefill server generates goes to waste or is generated again.
    greatest(c.tokens - CASE WHEN d.role = 'decode' THEN w.first_tokens ELSE 0 END, 0) AS tokens,
    greatest(c.low - CASE WHEN d.role = 'decode' THEN w.first_tokens ELSE 0 END, 0) AS low,
    c.high,
    p.inputs_digest
FROM drawn AS d
JOIN whole AS w USING (job_id)
JOIN sums AS s USING (job_id)
JOIN counted AS c
    ON c.job_id = d.job_id
    AND c.kind = CASE d.role WHEN 'prefill' THEN 'prompt_computed' ELSE 'generated' END
CROSS JOIN parameters AS p
WHERE
    -- Energy and tokens of the same time: all of the job's in the hour, but for a scrape.
    s.joint_us * 100 >= s.device_us * 99 AND coalesce(s.unseen_us, 0) = 0
    AND NOT EXISTS (FROM drawn AS o WHERE o.job_id = d.job_id AND o.role IS NULL)
