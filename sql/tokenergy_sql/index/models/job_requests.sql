-- Requests of each job in an hour: all, those of the joint time, and those of them within the SLO.
-- In: request_step, time_state, token_known, token_page, token_name, slo, parameters. Out: job_id
-- and the columns of REQUEST_SUMS in the contract; slo, slo_method. A job of which a server tells
-- nothing, or was not read for more than a hundredth of the joint time, has no row.
--
-- Time is divided as for tokens: linear between two readings, rounded down; the lower bound has
-- what is wholly inside, the upper bound all that touches, and for time without readings the
-- steepest growth.
--
-- A frontend sees a request once, whichever workers it passes through: where one tells requests,
-- the workers' are left out. Of a prefill/decode pair only the servers that are sent prompts count.
--
-- Latencies are known each for itself, not together. With N requests: at least N less all that may
-- be too slow in any of them are within the SLO; at most as many as are fast enough in each. A
-- request of one token has no time per token, and that is fast enough.
WITH
hour AS (
    SELECT hour_us AS from_us, hour_us + us_per_hour() AS to_us FROM parameters
),
span AS (
    SELECT job_id, from_us, to_us, tokens_known AND energy_known AS joint FROM time_state
),
told AS (
    SELECT job_id, node, source_id, bool_or(token_frontend(metric)) AS frontend
    FROM request_step
    WHERE what = 'done'
    GROUP BY ALL
),
received AS (
    SELECT n.job_id, n.node, n.source_id
    FROM token_page AS p
    JOIN token_name AS n USING (counter)
    WHERE n.kind = 'prompt_external'
    GROUP BY ALL
    HAVING max(p.value) > min(p.value)
),
known AS (
    SELECT k.job_id, k.node, k.source_id, k.from_us, k.to_us
    FROM token_known AS k
    CROSS JOIN hour AS h
    WHERE k.from_us < h.to_us AND k.to_us > h.from_us
),
server AS (
    SELECT
        k.job_id, k.node, k.source_id,
        coalesce(t.frontend, false) AS frontend,
        r.job_id IS NOT NULL AS receives
    FROM (SELECT DISTINCT job_id, node, source_id FROM known) AS k
    LEFT JOIN told AS t USING (job_id, node, source_id)
    LEFT JOIN received AS r USING (job_id, node, source_id)
),
used AS (
    SELECT *
    FROM server
    WINDOW job AS (PARTITION BY job_id)
    QUALIFY
        CASE
            WHEN bool_or(frontend) OVER job THEN frontend
            WHEN bool_or(receives) OVER job THEN receives
            ELSE true
        END
),
-- What of the joint time each server's tokens are known for: its requests should be, too.
due AS (
    SELECT
        k.job_id, k.node, k.source_id,
        sum(least(k.to_us, s.to_us) - greatest(k.from_us, s.from_us)) AS due_us
    FROM known AS k
    JOIN span AS s
        ON s.job_id = k.job_id AND s.joint AND s.from_us < k.to_us AND s.to_us > k.from_us
    GROUP BY ALL
),
dealt AS (
    SELECT
        r.* EXCLUDE (frontend, receives),
        bool_or(s.joint AND s.from_us <= r.from_us AND s.to_us >= r.to_us) AS inside,
        bool_or(s.joint) AS touches,
        sum(least(r.to_us, s.to_us) - greatest(r.from_us, s.from_us)) FILTER (WHERE s.joint)
            AS joint_us,
        sum(
            r.n::HUGEINT * (least(r.to_us, s.to_us) - r.from_us) // (r.to_us - r.from_us)
            - r.n::HUGEINT * (greatest(r.from_us, s.from_us) - r.from_us) // (r.to_us - r.from_us)
        ) AS part,
        sum(
            r.n::HUGEINT * (least(r.to_us, s.to_us) - r.from_us) // (r.to_us - r.from_us)
            - r.n::HUGEINT * (greatest(r.from_us, s.from_us) - r.from_us) // (r.to_us - r.from_us)
        ) FILTER (WHERE s.joint) AS joint_part
    FROM (FROM request_step JOIN used USING (job_id, node, source_id)) AS r
    JOIN span AS s ON s.job_id = r.job_id AND s.from_us < r.to_us AND s.to_us > r.from_us
    GROUP BY ALL
),
of_counter AS (
    SELECT
        job_id, node, source_id, model, kind, what, counter,
        any_value(limit_us) AS limit_us,
        bool_and(exact) AS exact,
        sum(part) AS n,
        coalesce(sum(joint_part), 0) AS joint_n,
        coalesce(sum(n) FILTER (WHERE inside AND sure), 0) AS low,
        coalesce(sum(n) FILTER (WHERE touches), 0) AS high,
        coalesce(sum(joint_us), 0) AS read_us,
        coalesce(sum(joint_us) FILTER (WHERE NOT sure), 0) AS unsure_us,
        -- A growth of next to no time says nothing of a rate.
        coalesce(
            max(n / (to_us - from_us)) FILTER (WHERE to_us - from_us >= us_per_second() // 10), 0
        ) AS peak
    FROM dealt
    GROUP BY ALL
),
of_server AS (
    SELECT
        c.job_id, c.node, c.source_id, c.model, c.kind, c.what,
        any_value(c.limit_us) AS limit_us,
        bool_and(c.exact) AS exact,
        coalesce(any_value(d.due_us), 0) AS owed_us,
        greatest(owed_us - max(c.read_us), 0) AS unread_us,
        sum(c.n) AS n,
        sum(c.joint_n) AS joint_n,
        sum(c.low) AS low,
        sum(c.high) + sum(ceil(c.peak * (c.unsure_us + greatest(
            coalesce(d.due_us, 0) - c.read_us, 0
        ))))::HUGEINT AS high
    FROM of_counter AS c
    LEFT JOIN due AS d USING (job_id, node, source_id)
    GROUP BY c.job_id, c.node, c.source_id, c.model, c.kind, c.what
),
-- A server that tells no requests has read nothing of what is due.
whole AS (
    SELECT u.job_id
    FROM used AS u
    LEFT JOIN (
        SELECT job_id, node, source_id, max(unread_us) AS unread_us, max(owed_us) AS owed_us
        FROM of_server
        WHERE what = 'done'
        GROUP BY ALL
    ) AS r USING (job_id, node, source_id)
    GROUP BY u.job_id
    HAVING bool_and(coalesce(100 * r.unread_us <= r.owed_us, false))
),
of_model AS (
    SELECT
        job_id, model, kind, what,
        any_value(limit_us) AS limit_us,
        bool_and(exact) AS exact,
        count(*) AS servers,
        sum(n) AS n,
        sum(joint_n) AS joint_n,
        sum(low) AS low,
        sum(high) AS high
    FROM of_server
    SEMI JOIN whole USING (job_id)
    GROUP BY ALL
),
ended AS (
    SELECT
        job_id, model,
        max(servers) AS servers,
        max(n) FILTER (WHERE what = 'done') AS n,
        max(n) FILTER (WHERE what = 'failed') AS failed,
        max(joint_n) FILTER (WHERE what = 'done') AS joint_n,
        max(low) FILTER (WHERE what = 'done') AS low,
        max(high) FILTER (WHERE what = 'done') AS high,
        max(high) FILTER (WHERE what = 'failed') AS failed_high
    FROM of_model
    WHERE kind = 'finished'
    GROUP BY ALL
),
latency AS (
    SELECT
        m.job_id, m.model, m.kind,
        any_value(m.limit_us) AS limit_us,
        bool_and(m.exact) AS exact,
        max(m.servers) = any_value(e.servers) AS complete,
        max(m.joint_n) FILTER (WHERE m.what = 'all') AS every,
        max(m.joint_n) FILTER (WHERE m.what = 'within') / whole_ppm() AS within,
        max(m.high) FILTER (WHERE m.what = 'over') AS over,
        max(m.high) FILTER (WHERE m.what = 'under')
        + CASE
            WHEN m.kind = 'tpot'
                THEN
                    greatest(
                        any_value(e.high + e.failed_high)
                        - max(m.low) FILTER (WHERE m.what = 'all'), 0
                    )
            ELSE 0
        END AS under,
        CASE WHEN every > 0 THEN least(within / every, 1) END AS share
    FROM of_model AS m
    JOIN ended AS e USING (job_id, model)
    WHERE m.kind <> 'finished'
    GROUP BY m.job_id, m.model, m.kind
),
judged AS (
    SELECT
        l.job_id, l.model,
        string_agg(concat(l.kind, '_s=', seconds(l.limit_us)), ',' ORDER BY l.kind DESC) AS slo,
        count(*) AS limited,
        bool_and(l.complete) AS complete,
        bool_and(l.exact) AS exact,
        sum(l.over) AS over,
        min(l.under) AS under,
        -- Between latencies that have nothing to do with each other, and slow ones that are slow in
        -- all of them: under load they rise together.
        (product(l.share) + min(l.share)) / 2 AS share,
        count(l.share) = count(*) AS shared
    FROM latency AS l
    GROUP BY ALL
),
limited AS (
    SELECT model, count(*) AS limits
    FROM (
        SELECT DISTINCT e.model, s.kind
        FROM ended AS e
        JOIN slo AS s ON s.model IN ('', e.model)
    )
    GROUP BY ALL
),
good AS (
    SELECT
        e.*,
        j.slo,
        -- Every server must tell every latency that has a limit.
        coalesce(j.complete AND j.limited = k.limits, false) AS judgeable,
        CASE WHEN judgeable THEN greatest(e.low - j.over, 0) END AS good_low,
        CASE WHEN judgeable THEN least(e.high, j.under) END AS good_high,
        CASE
            WHEN judgeable AND e.joint_n = 0 THEN 0
            WHEN judgeable AND j.shared
                THEN
                    greatest(
                        least(floor(e.joint_n * j.share + 0.5), good_high, e.joint_n), good_low
                    )
        END AS good_n,
        CASE
            WHEN judgeable
                THEN concat_ws(
                    '+',
                    CASE
                        WHEN NOT j.exact THEN 'interpolated'
                        WHEN j.limited = 1 THEN 'counted'
                    END,
                    CASE WHEN j.limited > 1 THEN 'estimated' END
                )
        END AS how
    FROM ended AS e
    LEFT JOIN judged AS j USING (job_id, model)
    LEFT JOIN limited AS k USING (model)
)
SELECT
    job_id,
    sum(n)::BIGINT AS n_requests,
    coalesce(sum(failed), 0)::BIGINT AS n_requests_failed,
    sum(joint_n)::BIGINT AS n_joint_requests,
    least(sum(low), sum(joint_n))::BIGINT AS n_joint_requests_low,
    greatest(sum(high), sum(joint_n))::BIGINT AS n_joint_requests_high,
    CASE WHEN count(good_n) = count(*) THEN sum(good_n)::BIGINT END AS n_joint_good,
    CASE WHEN count(good_n) = count(*) THEN sum(good_low)::BIGINT END AS n_joint_good_low,
    CASE WHEN count(good_n) = count(*) THEN sum(good_high)::BIGINT END AS n_joint_good_high,
    CASE WHEN count(good_n) = count(*) THEN string_agg(DISTINCT slo, '+' ORDER BY slo) END AS slo,
    CASE
        WHEN count(good_n) = count(*)
            THEN
                array_to_string(
                    list_sort(list_distinct(flatten(list(string_split(how, '+'))))), '+'
                )
    END AS slo_method
FROM good
GROUP BY job_id
