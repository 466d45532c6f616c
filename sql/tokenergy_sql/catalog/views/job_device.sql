-- Each job on each of its devices: energy as booked there, tokens by device time.
-- In: job_index, ledger_hour, place_at. Out: one row a job, device, node and place; one without a
-- device for a job that is not in the ledger.
--
-- The place and the board are those of each hour: the last recorded by its end.
--
-- Which of a job's devices made a token is unknown. So tokens N are split by device time w, by the
-- telescoping rule: floor(N W / T) minus the same for the predecessor, where W is the running sum
-- of w and T its total. What a boundary adds to the GPU's energy is split in the same way. The rows
-- of a job add up exactly to its row in job_index.
--
--   n_tokens   tokens that the index divides by: generated or trained; NULL for a mixed job
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
running AS (
    SELECT
        *,
        sum(weight) OVER (PARTITION BY job_id) AS whole,
        sum(weight) OVER (PARTITION BY job_id ORDER BY place_number) AS upper,
        count(*) OVER (PARTITION BY job_id) > 1 AS spread
    FROM weighted
),
joined AS (
    SELECT
        j.job_id, j.workload,
        r.device_id, r.node, r.gpu, r.rack, r.pod, r.hall, r.site,
        coalesce(r.device_us, 0) AS device_us,
        coalesce(r.covered_us, 0) AS covered_us,
        r.e_gpu_nj, r.e_gpu_low_nj, r.e_gpu_high_nj, r.e_gpu_active_nj,
        coalesce(r.spread, false) AS spread,
        -- A job without a device keeps all it has in its one row.
        coalesce(r.upper - r.weight, 0) AS lower,
        coalesce(r.upper, 1) AS upper,
        coalesce(r.whole, 1) AS whole,
        j.n_low, j.n_high,
        CASE j.workload WHEN 'inference' THEN j.n_generated WHEN 'training' THEN j.n_trained END
            AS n_tokens,
        j.e_facility_nj::HUGEINT - coalesce(j.e_gpu_nj, 0)::HUGEINT AS beyond_nj,
        j.e_facility_low_nj::HUGEINT - j.e_gpu_low_nj::HUGEINT AS beyond_low_nj,
        j.e_facility_high_nj::HUGEINT - j.e_gpu_high_nj::HUGEINT AS beyond_high_nj,
        j.e_gpu_burdened_nj::HUGEINT - coalesce(j.e_gpu_nj, 0)::HUGEINT AS burden_nj,
        j.e_facility_burdened_nj::HUGEINT - coalesce(j.e_gpu_nj, 0)::HUGEINT AS burden_beyond_nj,
        j.reason_codes, j.emulated
    FROM job_index AS j
    LEFT JOIN running AS r USING (job_id)
)
SELECT
    job_id, workload, device_id, node, gpu, rack, pod, hall, site, device_us, covered_us,
    part_of(n_tokens, lower, upper, whole)::BIGINT AS n_tokens,
    part_of(n_low, lower, upper, whole)::BIGINT AS n_low,
    part_of(n_high, lower, upper, whole)::BIGINT AS n_high,
    e_gpu_nj::DECIMAL(38, 0) AS e_gpu_nj,
    e_gpu_low_nj::DECIMAL(38, 0) AS e_gpu_low_nj,
    e_gpu_high_nj::DECIMAL(38, 0) AS e_gpu_high_nj,
    e_gpu_active_nj::DECIMAL(38, 0) AS e_gpu_active_nj,
    (coalesce(e_gpu_nj, 0) + part_of(beyond_nj, lower, upper, whole))::DECIMAL(38, 0)
        AS e_facility_nj,
    (coalesce(e_gpu_low_nj, 0) + part_of(beyond_low_nj, lower, upper, whole))::DECIMAL(38, 0)
        AS e_facility_low_nj,
    (coalesce(e_gpu_high_nj, 0) + part_of(beyond_high_nj, lower, upper, whole))::DECIMAL(38, 0)
        AS e_facility_high_nj,
    (coalesce(e_gpu_nj, 0) + part_of(burden_nj, lower, upper, whole))::DECIMAL(38, 0)
        AS e_gpu_burdened_nj,
    (coalesce(e_gpu_nj, 0) + part_of(burden_beyond_nj, lower, upper, whole))::DECIMAL(38, 0)
        AS e_facility_burdened_nj,
    spread,
    reason_codes,
    emulated
FROM joined
