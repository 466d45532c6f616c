-- Each job on each of its devices: energy as booked there, tokens by device time.
-- In: job_index, ledger_hour, place_at. Out: one row a job, device, node and place; one without a
-- device for a job that is not in the ledger, and for claimed time of which nothing was recorded.
--
-- The place and the board are those of each hour: the last recorded by its end.
--
-- Which of a job's devices made a token is unknown. So tokens N are split by device time w, by the
-- telescoping rule: floor(N W / T) minus the same for the predecessor, where W is the running sum
-- of w and T its total. What a boundary adds to the GPU's energy is split in the same way. The rows
-- of a job add up exactly to its row in job_index.
--
--   n_tokens   tokens counted: generated or trained; NULL for a mixed job
--   spread     true if the job has other devices or places too: tokens, hosts and burden are
--              estimates
CREATE VIEW job_device AS
WITH
booked AS (
    SELECT
        l.job_id,
        l.device_id,
        l.node,
        p.gpu, p.rack, p.pod, p.hall, p.site,
        sum(device_us)::BIGINT AS device_us,
        sum(covered_us)::BIGINT AS covered_us,
        sum(energy_nj)::HUGEINT AS e_gpu_nj,
        sum(low_nj)::HUGEINT AS e_gpu_low_nj,
        sum(high_nj)::HUGEINT AS e_gpu_high_nj,
        sum(energy_nj) FILTER (WHERE account = 'active')::HUGEINT AS e_gpu_active_nj
    FROM ledger_hour AS l
    ASOF LEFT JOIN place_at AS p
        ON p.device_id = l.device_id AND p.from_us < l.hour_us + 3600000000
    WHERE l.job_id IS NOT NULL
    GROUP BY ALL
),
-- Devices of one place follow each other, so that a place is rounded only once.
weighted AS (
    SELECT
        b.*,
        CASE WHEN sum(b.device_us) OVER (PARTITION BY b.job_id) = 0 THEN 1 ELSE b.device_us END
            AS weight,
        row_number() OVER (
            PARTITION BY b.job_id
            ORDER BY b.site, b.hall, b.pod, b.rack, b.node, b.device_id, b.gpu
        ) AS place_number
    FROM booked AS b
),
-- Time that a job claimed and nothing recorded is on no known board: it has a row of its own.
unseen AS (
    SELECT
        j.job_id,
        any_value(j.unseen_us) AS weight,
        any_value(j.e_gpu_high_nj)::HUGEINT - sum(w.e_gpu_high_nj) AS e_gpu_high_nj,
        max(w.place_number) + 1 AS place_number
    FROM job_index AS j
    JOIN weighted AS w USING (job_id)
    WHERE j.unseen_us > 0
    GROUP BY j.job_id
),
running AS (
    SELECT
        *,
        sum(weight) OVER (PARTITION BY job_id) AS whole,
        sum(weight) OVER job AS upper,
        nullif(sum(covered_us) OVER (PARTITION BY job_id), 0) AS whole_us,
        sum(coalesce(covered_us, 0)) OVER job AS upper_us,
        nullif(sum(e_gpu_nj) OVER (PARTITION BY job_id), 0) AS whole_nj,
        sum(coalesce(e_gpu_nj, 0)) OVER job AS upper_nj,
        nullif(sum(e_gpu_low_nj) OVER (PARTITION BY job_id), 0) AS whole_low_nj,
        sum(coalesce(e_gpu_low_nj, 0)) OVER job AS upper_low_nj,
        nullif(sum(e_gpu_high_nj) OVER (PARTITION BY job_id), 0) AS whole_high_nj,
        sum(e_gpu_high_nj) OVER job AS upper_high_nj,
        count(*) OVER (PARTITION BY job_id) > 1 AS spread
    FROM (FROM weighted UNION ALL BY NAME FROM unseen)
    WINDOW job AS (PARTITION BY job_id ORDER BY place_number)
),
-- What is split by device time, by covered time or by energy; a job without a device keeps all it
-- has in its one row.
joined AS (
    SELECT
        j.job_id, j.workload,
        r.device_id, r.node, r.gpu, r.rack, r.pod, r.hall, r.site,
        r.e_gpu_nj, r.e_gpu_active_nj,
        CASE WHEN r.job_id IS NULL THEN j.e_gpu_low_nj ELSE r.e_gpu_low_nj END AS e_gpu_low_nj,
        CASE WHEN r.job_id IS NULL THEN j.e_gpu_high_nj ELSE r.e_gpu_high_nj END AS e_gpu_high_nj,
        coalesce(r.spread, false) AS spread,
        coalesce(r.upper - r.weight, 0) AS below,
        coalesce(r.upper, 1) AS up_to,
        coalesce(r.whole, 1) AS of_all,
        part_of(j.device_us, below, up_to, of_all) AS device_us,
        part_of(j.token_us, below, up_to, of_all) AS token_us,
        coalesce(part_of(j.covered_us, r.upper_us - coalesce(r.covered_us, 0), r.upper_us, r.whole_us), 0)
            AS covered_us,
        coalesce(part_of(j.joint_us, r.upper_us - coalesce(r.covered_us, 0), r.upper_us, r.whole_us), 0)
            AS joint_us,
        part_of(n_joint, below, up_to, of_all) AS n_joint,
        part_of(n_joint_low, below, up_to, of_all) AS n_joint_low,
        part_of(n_joint_high, below, up_to, of_all) AS n_joint_high,
        part_of(n_low, below, up_to, of_all) AS n_low,
        part_of(n_high, below, up_to, of_all) AS n_high,
        part_of(
            CASE j.workload WHEN 'inference' THEN j.n_generated WHEN 'training' THEN j.n_trained END,
            below, up_to, of_all
        ) AS n_tokens,
        part_of(
            j.e_facility_nj::HUGEINT - coalesce(j.e_gpu_nj, 0)::HUGEINT, below, up_to, of_all
        ) AS beyond_nj,
        part_of(
            j.e_facility_low_nj::HUGEINT - j.e_gpu_low_nj::HUGEINT, below, up_to, of_all
        ) AS beyond_low_nj,
        part_of(
            j.e_facility_high_nj::HUGEINT - j.e_gpu_high_nj::HUGEINT, below, up_to, of_all
        ) AS beyond_high_nj,
        part_of(
            j.e_gpu_burdened_nj::HUGEINT - coalesce(j.e_gpu_nj, 0)::HUGEINT, below, up_to, of_all
        ) AS burden_nj,
        part_of(
            j.e_facility_burdened_nj::HUGEINT - coalesce(j.e_gpu_nj, 0)::HUGEINT, below, up_to, of_all
        ) AS burden_beyond_nj,
        -- A board without known energy has no part in a ratio.
        CASE WHEN r.e_gpu_nj IS NOT NULL THEN j.e_joint_nj::HUGEINT END AS joint_nj,
        coalesce(part_of(joint_nj, r.upper_nj - r.e_gpu_nj, r.upper_nj, r.whole_nj), joint_nj)
            AS e_joint_nj,
        coalesce(
            part_of(j.e_joint_low_nj, r.upper_low_nj - r.e_gpu_low_nj, r.upper_low_nj, r.whole_low_nj),
            0
        ) AS e_joint_low_nj,
        part_of(j.e_joint_high_nj, r.upper_high_nj - r.e_gpu_high_nj, r.upper_high_nj, r.whole_high_nj)
            AS e_joint_high_nj,
        part_of(
            j.e_joint_facility_nj::HUGEINT - j.e_joint_nj::HUGEINT, below, up_to, of_all
        ) AS joint_beyond_nj,
        part_of(
            j.e_joint_facility_low_nj::HUGEINT - j.e_joint_low_nj::HUGEINT, below, up_to, of_all
        ) AS joint_beyond_low_nj,
        part_of(
            j.e_joint_facility_high_nj::HUGEINT - j.e_joint_high_nj::HUGEINT, below, up_to, of_all
        ) AS joint_beyond_high_nj,
        part_of(
            j.e_joint_burdened_nj::HUGEINT - j.e_joint_nj::HUGEINT, below, up_to, of_all
        ) AS joint_burden_nj,
        part_of(
            j.e_joint_facility_burdened_nj::HUGEINT - j.e_joint_nj::HUGEINT, below, up_to, of_all
        ) AS joint_burden_beyond_nj,
        j.reason_codes, j.emulated
    FROM job_index AS j
    LEFT JOIN running AS r USING (job_id)
)
SELECT
    job_id, workload, device_id, node, gpu, rack, pod, hall, site,
    device_us::BIGINT AS device_us,
    covered_us::BIGINT AS covered_us,
    token_us::BIGINT AS token_us,
    joint_us::BIGINT AS joint_us,
    n_tokens::BIGINT AS n_tokens,
    n_low::BIGINT AS n_low,
    n_high::BIGINT AS n_high,
    n_joint::BIGINT AS n_joint,
    n_joint_low::BIGINT AS n_joint_low,
    n_joint_high::BIGINT AS n_joint_high,
    e_gpu_nj::DECIMAL(38, 0) AS e_gpu_nj,
    e_gpu_low_nj::DECIMAL(38, 0) AS e_gpu_low_nj,
    e_gpu_high_nj::DECIMAL(38, 0) AS e_gpu_high_nj,
    e_gpu_active_nj::DECIMAL(38, 0) AS e_gpu_active_nj,
    (coalesce(e_gpu_nj, 0) + beyond_nj)::DECIMAL(38, 0) AS e_facility_nj,
    (coalesce(e_gpu_low_nj, 0) + beyond_low_nj)::DECIMAL(38, 0) AS e_facility_low_nj,
    (coalesce(e_gpu_high_nj, 0) + beyond_high_nj)::DECIMAL(38, 0) AS e_facility_high_nj,
    (coalesce(e_gpu_nj, 0) + burden_nj)::DECIMAL(38, 0) AS e_gpu_burdened_nj,
    (coalesce(e_gpu_nj, 0) + burden_beyond_nj)::DECIMAL(38, 0) AS e_facility_burdened_nj,
    e_joint_nj::DECIMAL(38, 0) AS e_joint_nj,
    e_joint_low_nj::DECIMAL(38, 0) AS e_joint_low_nj,
    e_joint_high_nj::DECIMAL(38, 0) AS e_joint_high_nj,
    (e_joint_nj + joint_beyond_nj)::DECIMAL(38, 0) AS e_joint_facility_nj,
    (e_joint_low_nj + joint_beyond_low_nj)::DECIMAL(38, 0) AS e_joint_facility_low_nj,
    (e_joint_high_nj + joint_beyond_high_nj)::DECIMAL(38, 0) AS e_joint_facility_high_nj,
    (e_joint_nj + joint_burden_nj)::DECIMAL(38, 0) AS e_joint_burdened_nj,
    (e_joint_nj + joint_burden_beyond_nj)::DECIMAL(38, 0) AS e_joint_facility_burdened_nj,
    spread,
    reason_codes,
    emulated
FROM joined
