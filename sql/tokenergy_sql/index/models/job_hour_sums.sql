-- The exact sums of each job in each hour.
-- In: ledger_hour, job_time, token_usage, job_facts, allocation, parameters, burden, host_share,
-- host_hour, device_now, node_pue, clock_step, unseen_host. Out: job_id, hour_us, the sums of the
-- contract but those of the joint time (see `joint_hour.sql`), index_kind (the kind of token that
-- the index divides by; NULL: none) and silent (whether no counter was read); methods,
-- host_methods, facility_methods and reasons as lists.
--
-- Where the energy of a host is not known (see host_hour) that of the job's hosts is NULL, and so
-- is every boundary above it.
WITH
booked AS (
    SELECT
        job_id,
        hour_us,
        sum(device_us)::BIGINT AS device_us,
        sum(covered_us)::BIGINT AS covered_us,
        -- The ledger's sums are stored as DECIMAL, which DuckDB divides as DOUBLE.
        sum(energy_nj)::HUGEINT AS e_gpu_nj,
        sum(low_nj)::HUGEINT AS e_gpu_low_nj,
        sum(high_nj)::HUGEINT AS e_gpu_high_nj,
        CASE
            WHEN count(energy_nj) > 0
                THEN coalesce(sum(energy_nj) FILTER (WHERE account = 'active'), 0::HUGEINT)
        END AS e_gpu_active_nj,
        sum(counter_nj) AS counter_nj,
        sum(counted_integral_nj) AS counted_integral_nj,
        max(max_gap_us) AS max_gap_us,
        max(as_of_us) AS as_of_us,
        list_sort(list_distinct(flatten(list(string_split(method, '+'))))) AS methods,
        list_filter([
            CASE WHEN sum(covered_us) < sum(device_us) THEN 'gap' END,
            CASE WHEN list_contains(methods, 'disputed') THEN 'disputed' END,
            CASE WHEN list_contains(methods, 'counter_flagged') THEN 'counter_flagged' END,
            CASE WHEN bool_or(shared) THEN 'shared_estimate' END,
            CASE WHEN bool_or(calibrated) THEN 'calibrated' END
        ], lambda code: code IS NOT NULL) AS own_reasons,
        list_concat(own_reasons, list_sort(list_distinct(flatten(
            coalesce(list(string_split(reasons, ',')) FILTER (WHERE reasons <> ''), [])
        )))) AS reasons
    FROM ledger_hour
    WHERE job_id IS NOT NULL
    GROUP BY ALL
),
-- Errors that come together are added, independent ones as the root of the sum of their squares. A
-- card's own error is the same in all its accounts and hours; the error left open by a class is the
-- same in all boards of a name; two cards, two names, and a card and a name are independent. All
-- else (the reference of a calibration, edges, disputes, gaps, time that a sensor does not look at)
-- may come together and is added. An error known only to be within a limit U has the standard
-- uncertainty U / sqrt(3); three of those make sqrt(3) x the root, never more than the sum.
card_span AS (
    SELECT
        job_id,
        hour_us,
        device_id,
        sum(low_nj)::HUGEINT AS card_low_nj,
        sum(high_nj)::HUGEINT AS card_high_nj,
        -- A bound that was cut off at 0 leaves a narrower span than the errors would make.
        least(
            1.0, (sum(high_nj) - sum(low_nj))::DOUBLE
            / greatest(1.0, sum(own_nj + class_nj)::DOUBLE)
        ) AS left_of_it,
        sum(own_nj)::DOUBLE * left_of_it AS card_own_nj,
        sum(class_nj)::DOUBLE * left_of_it AS card_class_nj
    FROM ledger_hour
    WHERE job_id IS NOT NULL
    GROUP BY ALL
),
-- Ordered: a sum of DOUBLE depends on its order, and the same inputs must give the same bytes.
class_span AS (
    SELECT
        job_id,
        hour_us,
        coalesce("name", '') AS board,
        sum(card_low_nj) AS board_low_nj,
        sum(card_high_nj) AS board_high_nj,
        sum(card_class_nj ORDER BY device_id) AS shared_nj,
        sum(card_own_nj ORDER BY device_id) AS alone_nj,
        sum(card_own_nj * card_own_nj ORDER BY device_id) AS alone_squared
    FROM card_span
    LEFT JOIN (SELECT device_id, "name" FROM device_now) USING (device_id)
    GROUP BY ALL
),
saved AS (
    SELECT
        job_id,
        hour_us,
        sum(board_low_nj) AS low_nj,
        sum(board_high_nj) AS high_nj,
        sum(alone_nj + shared_nj ORDER BY board) AS added_nj,
        sqrt(3 * sum(alone_squared + shared_nj * shared_nj ORDER BY board)) AS squares_nj
    FROM class_span
    GROUP BY ALL
),
spanned AS (
    SELECT
        job_id,
        hour_us,
        greatest(0, floor((added_nj - squares_nj) / 2))::HUGEINT AS each_nj,
        low_nj + each_nj AS e_gpu_rss_low_nj,
        high_nj - each_nj AS e_gpu_rss_high_nj
    FROM saved
),
hosted AS (
    SELECT
        job_id,
        hour_us,
        CASE WHEN count(host_nj) = count(*) THEN sum(host_nj) END AS e_host_nj,
        CASE WHEN count(host_low_nj) = count(*) THEN sum(host_low_nj) END AS e_host_low_nj,
        CASE WHEN count(host_high_nj) = count(*) THEN sum(host_high_nj) END AS e_host_high_nj,
        list(DISTINCT host_method) FILTER (WHERE device_us > 0) AS host_methods
    FROM host_share
    WHERE job_id IS NOT NULL
    GROUP BY ALL
),
-- The PUE of a job is that of its nodes, weighted by what it drew there; its bounds are theirs,
-- weighted by the least and the most that it can have drawn there. For a part of the hour, of which
-- it is not known what it drew where, those of the nodes with the lowest and the highest count.
--
-- Where the meters of a node and all its boards are known throughout, the errors of boards and host
-- oppose each other: together they are the meter. A job with the share s of the device time has
-- GPUs g + s (meter - all boards), which is least where the meter is, its own boards too, and the
-- others are at their most. So a job that holds the whole node has the bounds of its meter.
node_bound AS (
    SELECT hour_us, node, sum(low_nj)::HUGEINT AS all_low_nj, sum(high_nj)::HUGEINT AS all_high_nj
    FROM ledger_hour
    GROUP BY ALL
),
node_part AS (
    SELECT
        job_id,
        hour_us,
        p.* EXCLUDE (node),
        h.host_low_nj,
        h.host_high_nj,
        coalesce(e.gpu_nj, 0::HUGEINT) + coalesce(h.host_nj, 0::HUGEINT) AS it_nj,
        m.method = 'measured' AND m.input_us = m.watched_us AND h.device_us > 0 AS by_meter,
        greatest(
            coalesce(e.gpu_low_nj, 0::HUGEINT) + coalesce(h.host_low_nj, 0::HUGEINT),
            -- 1 nJ for the division, which rounds towards zero.
            CASE
                WHEN by_meter
                    THEN
                        e.gpu_low_nj - 1 + (
                            m.input_low_nj::HUGEINT - n.all_high_nj + e.gpu_high_nj - e.gpu_low_nj
                        ) * h.device_us // h.capacity_us
            END
        ) AS it_low_nj,
        least(
            coalesce(e.gpu_high_nj, 0::HUGEINT) + coalesce(h.host_high_nj, 0::HUGEINT),
            CASE
                WHEN by_meter
                    THEN
                        e.gpu_high_nj + 1 + (
                            m.input_high_nj::HUGEINT - n.all_low_nj + e.gpu_low_nj - e.gpu_high_nj
                        ) * h.device_us // h.capacity_us
            END
        ) AS it_high_nj
    FROM (
        SELECT
            job_id,
            hour_us,
            node,
            sum(energy_nj)::HUGEINT AS gpu_nj,
            sum(low_nj)::HUGEINT AS gpu_low_nj,
            sum(high_nj)::HUGEINT AS gpu_high_nj
        FROM ledger_hour
        WHERE job_id IS NOT NULL
        GROUP BY ALL
    ) AS e
    JOIN host_share AS h USING (job_id, hour_us, node)
    JOIN host_hour AS m USING (hour_us, node)
    JOIN node_bound AS n USING (hour_us, node)
    JOIN node_pue AS p USING (node)
),
at_pue AS (
    SELECT
        job_id,
        hour_us,
        CASE
            WHEN count(pue_ppb) < count(*) THEN NULL
            WHEN sum(it_nj) > 0
                THEN (sum(it_nj * pue_ppb)::HUGEINT // sum(it_nj)::HUGEINT)::BIGINT
            ELSE min(pue_ppb)
        END AS pue_ppb,
        CASE WHEN count(pue_ppb) = count(*) THEN min(pue_low_ppb) END AS least_ppb,
        CASE WHEN count(pue_high_ppb) = count(*) THEN max(pue_high_ppb) END AS most_ppb,
        CASE
            WHEN sum(it_low_nj) > 0 AND least_ppb IS NOT NULL
                THEN (sum(it_low_nj * pue_low_ppb)::HUGEINT // sum(it_low_nj)::HUGEINT)::BIGINT
            ELSE least_ppb
        END AS pue_low_ppb,
        CASE
            WHEN sum(it_high_nj) > 0 AND most_ppb IS NOT NULL
                THEN
                    (
                        (sum(it_high_nj * pue_high_ppb)::HUGEINT + sum(it_high_nj)::HUGEINT - 1)
                        // sum(it_high_nj)::HUGEINT
                    )::BIGINT
            ELSE most_ppb
        END AS nodes_high_ppb,
        CASE WHEN count(host_low_nj) = count(*) THEN sum(it_low_nj)::HUGEINT END AS e_it_low_nj,
        CASE WHEN count(host_high_nj) = count(*) THEN sum(it_high_nj)::HUGEINT END
            AS nodes_it_high_nj,
        list_sort(list_distinct(list(pue_method))) AS facility_methods,
        coalesce(bool_or(pue_covered_us < us_per_hour()), false) AS pue_partial
    FROM node_part
    GROUP BY ALL
),
-- What no collector recorded may have been at any node.
any_pue AS (
    SELECT CASE WHEN count(pue_high_ppb) = count(*) THEN max(pue_high_ppb) END AS any_high_ppb
    FROM node_pue
),
counted AS (
    SELECT
        job_id,
        hour_us,
        sum(tokens) FILTER (WHERE kind = 'prompt_computed')::BIGINT AS n_prompt_computed,
        sum(tokens) FILTER (WHERE kind = 'prompt_cached')::BIGINT AS n_prompt_cached,
        sum(tokens) FILTER (WHERE kind = 'generated')::BIGINT AS n_generated,
        sum(tokens) FILTER (WHERE kind = 'trained')::BIGINT AS n_trained,
        -- What the index divides by. A mixed job may do only one of the two in an hour.
        CASE any_value(f.workload)
            WHEN 'training' THEN 'trained'
            WHEN 'inference' THEN 'generated'
            WHEN 'mixed'
                THEN CASE
                    WHEN
                        coalesce(sum(tokens) FILTER (WHERE kind <> 'trained'), 0) = 0
                        THEN 'trained'
                    WHEN coalesce(n_trained, 0) = 0 THEN 'generated'
                END
        END AS index_kind,
        sum(low) FILTER (WHERE kind = 'generated')::BIGINT AS generated_low,
        sum(high) FILTER (WHERE kind = 'generated')::BIGINT AS generated_high,
        sum(low) FILTER (WHERE kind = 'trained')::BIGINT AS trained_low,
        sum(high) FILTER (WHERE kind = 'trained')::BIGINT AS trained_high,
        list_sort(list_distinct(flatten(
            coalesce(list(string_split(reasons, ',')) FILTER (WHERE reasons <> ''), [])
        ))) AS reasons
    FROM token_usage
    LEFT JOIN (SELECT job_id, workload FROM job_facts) AS f USING (job_id)
    WHERE hour_us = (SELECT hour_us FROM parameters)
    GROUP BY ALL
),
-- Jobs that claimed more than the whole of a device at once. Claims only grow where one begins, so
-- it is enough to look there. A job that was recorded twice claims once, as in the ledger.
claimed AS (
    SELECT device_id, job_id, mig_id, share_ppm, greatest(start_us, p.hour_us) AS start_us, end_us
    FROM allocation, parameters AS p
    WHERE
        start_us < p.hour_us + us_per_hour()
        AND (end_us IS NULL OR end_us > greatest(start_us, p.hour_us))
),
holding AS (
    SELECT c.device_id, begun.start_us, c.job_id, c.mig_id, max(c.share_ppm) AS share_ppm
    FROM (SELECT DISTINCT device_id, start_us FROM claimed) AS begun
    JOIN claimed AS c
        ON c.device_id = begun.device_id
        AND c.start_us <= begun.start_us
        AND (c.end_us IS NULL OR c.end_us > begun.start_us)
    GROUP BY ALL
),
contended AS (
    SELECT unnest(list(job_id)) AS job_id
    FROM (
        SELECT device_id, start_us, job_id, least(whole_ppm(), sum(share_ppm)) AS share_ppm
        FROM holding
        GROUP BY ALL
    )
    GROUP BY device_id, start_us
    HAVING sum(share_ppm) > whole_ppm()
)
SELECT
    job_id,
    coalesce(b.hour_us, c.hour_us, (SELECT hour_us FROM parameters)) AS hour_us,
    coalesce(t.device_us, b.device_us, 0) AS device_us,
    coalesce(t.unseen_us, 0) AS unseen_us,
    -- Where shares are small the ledger rounds each row; what it lacks is what is known of no row.
    greatest(
        coalesce(t.device_us - t.unseen_us, b.device_us, 0)
        - coalesce(b.device_us - b.covered_us, 0), 0
    )::BIGINT AS covered_us,
    coalesce(t.token_us, 0) AS token_us,
    b.e_gpu_nj,
    -- Claimed time that nothing recorded may have drawn anything up to the limits of its boards.
    coalesce(b.e_gpu_low_nj, CASE WHEN t.unseen_us > 0 THEN 0::HUGEINT END) AS e_gpu_low_nj,
    coalesce(b.e_gpu_high_nj + t.unseen_high_nj, b.e_gpu_high_nj, CASE
        WHEN t.unseen_us > 0 THEN t.unseen_high_nj
    END) AS e_gpu_high_nj,
    b.e_gpu_active_nj,
    h.e_host_nj,
    h.e_host_low_nj,
    h.e_host_high_nj,
    h.host_methods,
    p.pue_ppb,
    p.least_ppb,
    p.most_ppb,
    p.pue_low_ppb,
    CASE
        WHEN coalesce(t.unseen_high_nj, 0) = 0 AND v.job_id IS NULL THEN p.nodes_high_ppb
        ELSE any_pue.any_high_ppb
    END AS pue_high_ppb,
    scale_ppb(b.e_gpu_nj + h.e_host_nj, p.pue_ppb) AS e_facility_nj,
    p.e_it_low_nj,
    p.nodes_it_high_nj + coalesce(t.unseen_high_nj, 0)
    + CASE WHEN v.job_id IS NULL THEN 0 ELSE v.unseen_host_nj END AS e_it_high_nj,
    scale_ppb(p.e_it_low_nj, p.pue_low_ppb) AS e_facility_low_nj,
    scale_ppb(e_it_high_nj, pue_high_ppb) + 1 AS e_facility_high_nj,
    coalesce(p.facility_methods, []) AS facility_methods,
    r.e_gpu_rss_low_nj,
    r.e_gpu_rss_high_nj + coalesce(t.unseen_high_nj, 0) AS e_gpu_rss_high_nj,
    u.e_gpu_burdened_nj,
    u.e_facility_burdened_nj,
    b.counter_nj,
    b.counted_integral_nj,
    b.max_gap_us,
    -- Silence is not zero: where no counter was read in the job's time, the tokens are not known.
    coalesce(t.token_us = 0, false) AS silent,
    CASE WHEN NOT silent OR c.n_prompt_computed > 0 THEN c.n_prompt_computed END
        AS n_prompt_computed,
    CASE WHEN NOT silent OR c.n_prompt_cached > 0 THEN c.n_prompt_cached END AS n_prompt_cached,
    CASE WHEN NOT silent OR c.n_generated > 0 THEN c.n_generated END AS n_generated,
    CASE WHEN NOT silent OR c.n_trained > 0 THEN c.n_trained END AS n_trained,
    CASE c.index_kind WHEN 'trained' THEN c.trained_low WHEN 'generated' THEN c.generated_low END
        AS n_low,
    CASE c.index_kind WHEN 'trained' THEN c.trained_high WHEN 'generated' THEN c.generated_high END
        AS n_high,
    c.index_kind,
    coalesce(b.methods, []) AS methods,
    list_concat(
        coalesce(b.reasons, []),
        -- Of an hour that nothing at all metered, no_energy says enough.
        CASE
            WHEN t.unseen_us > 0 AND b.e_gpu_nj IS NOT NULL AND NOT list_contains(b.reasons, 'gap')
                THEN ['gap']
            ELSE []
        END,
        CASE WHEN job_id IN (SELECT job_id FROM contended) THEN ['contended'] ELSE [] END,
        CASE WHEN job_id IN (SELECT job_id FROM clock_step) THEN ['clock_step'] ELSE [] END,
        CASE WHEN p.pue_partial THEN ['partial_pue'] ELSE [] END,
        CASE
            WHEN pue_low_ppb IS NOT NULL AND pue_high_ppb IS NULL THEN ['no_pue_bound'] ELSE []
        END,
        coalesce(c.reasons, [])
    ) AS reasons,
    b.as_of_us,
    (SELECT inputs_digest FROM parameters) AS inputs_digest
FROM booked AS b
FULL JOIN counted AS c USING (job_id, hour_us)
FULL JOIN job_time AS t USING (job_id)
LEFT JOIN unseen_host AS v USING (job_id)
LEFT JOIN hosted AS h USING (job_id, hour_us)
LEFT JOIN spanned AS r USING (job_id, hour_us)
LEFT JOIN burden AS u USING (job_id, hour_us)
LEFT JOIN at_pue AS p USING (job_id, hour_us)
CROSS JOIN any_pue
