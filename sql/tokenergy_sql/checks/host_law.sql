-- What hosts drew follows from their meters, models and declarations, and jobs bear their part.
-- fail, hourly
-- In: host_hour, node_hour, meter_hour, ledger_hour, job_hour_index. Out: the nodes and hours, and
-- the jobs and hours, of which it does not.
--
-- Done anew, to the nanojoule: a measured host is what its meters counted less what its boards
-- drew, scaled to the watched time; where both are known for the whole hour, these are the sums of
-- `meter_hour` and `ledger_hour`. A modelled host follows from the model of its row, a declared one
-- from the declaration. low <= host <= high, and what the processors counted is no more than the
-- host. A job bears of each of its nodes the part of its device time, rounded down, and so of both
-- bounds; so what jobs bear and what is left add up to the host. Hours of earlier versions have no
-- rows here. The time that a host is of is the matter of `hosts_of_all_boards`, the amounts of
-- meters that of `meter_law`, those of processors that of `processors_are_counted`.
WITH
meter_of AS (
    SELECT hour_us, node, unnest(from_json(meters, '["VARCHAR"]')) AS meter_id
    FROM host_hour
    WHERE meters IS NOT NULL
),
metered AS (
    SELECT
        o.hour_us, o.node,
        CASE WHEN min(coalesce(m.covered_us, 0)) = us_per_hour() THEN sum(m.amount) END AS amount,
        CASE WHEN count(m.low) = count(*) THEN sum(m.low) END AS low,
        CASE WHEN count(m.high) = count(*) THEN sum(m.high) END AS high
    FROM meter_of AS o
    LEFT JOIN meter_hour AS m USING (hour_us, meter_id)
    GROUP BY ALL
),
drawn AS (
    SELECT
        hour_us, node,
        coalesce(sum(energy_nj), 0)::HUGEINT AS boards_nj,
        sum(low_nj)::HUGEINT AS boards_low_nj,
        sum(high_nj)::HUGEINT AS boards_high_nj,
        sum(device_us)::HUGEINT AS capacity_us,
        sum(covered_us)::HUGEINT AS covered_us
    FROM ledger_hour
    GROUP BY ALL
),
host AS (
    SELECT
        h.hour_us, h.node, h.method, h.watched_us, h.input_us, h.doubts,
        h.host_nj::HUGEINT AS host_nj,
        h.host_low_nj::HUGEINT AS low_nj,
        h.host_high_nj::HUGEINT AS high_nj,
        h.input_nj::HUGEINT AS input_nj,
        h.input_boards_nj::HUGEINT AS input_boards_nj,
        h.boards_nj::HUGEINT AS own_boards_nj,
        coalesce(h.cpu_nj, 0)::HUGEINT AS cpu_nj,
        CASE WHEN contains(h.domains, 'package') THEN h.cpu_low_nj ELSE 0 END::HUGEINT AS surely_nj,
        h.declared_mw::HUGEINT * h.watched_us AS declared_nj,
        from_json(
            h.model, '{"base_mw":"HUGEINT","cpu_ppm":"HUGEINT","gpu_ppm":"HUGEINT"}'
        ) AS model,
        d.* EXCLUDE (hour_us, node),
        n.e_host_nj, n.host_method,
        m.amount::HUGEINT AS amount,
        h.input_low_nj, h.input_high_nj, m.low AS meters_low, m.high AS meters_high
    FROM host_hour AS h
    FULL JOIN (SELECT * FROM drawn SEMI JOIN host_hour USING (hour_us)) AS d USING (hour_us, node)
    LEFT JOIN node_hour AS n USING (hour_us, node)
    LEFT JOIN metered AS m USING (hour_us, node)
),
followed AS (
    SELECT
        *,
        CASE method
            WHEN 'measured' THEN (input_nj - input_boards_nj) * watched_us // input_us
            WHEN 'modelled'
                THEN
                    model.base_mw * watched_us + (
                        model.cpu_ppm * cpu_nj
                        + model.gpu_ppm * (boards_nj * capacity_us // covered_us)
                    ) // whole_ppm()
            WHEN 'declared' THEN greatest(declared_nj, surely_nj)
        END AS expected_nj
    FROM host
),
wrong_host AS (
    SELECT hour_us, node, NULL AS job_id, method, host_nj AS booked_nj, expected_nj
    FROM followed
    WHERE
        method IS NULL
        OR host_nj IS DISTINCT FROM expected_nj
        OR e_host_nj IS DISTINCT FROM host_nj
        OR host_method IS DISTINCT FROM method
        OR (host_nj IS NULL) <> (method = 'none')
        OR own_boards_nj IS DISTINCT FROM boards_nj
        OR input_us NOT BETWEEN 0 AND watched_us
        OR host_nj < coalesce(surely_nj, 0)
        OR NOT coalesce(low_nj <= host_nj, host_nj IS NULL)
        OR host_nj > high_nj
        OR (host_nj IS NOT NULL AND high_nj IS NULL AND doubts IS NULL)
        OR (
            input_us = us_per_hour() AND amount IS NOT NULL AND (
                input_nj <> amount
                OR input_boards_nj <> boards_nj
                OR input_low_nj IS DISTINCT FROM meters_low
                OR input_high_nj IS DISTINCT FROM meters_high
                OR (
                    method = 'measured' AND (
                        high_nj IS DISTINCT FROM (input_high_nj - boards_low_nj)
                        OR low_nj <> greatest(
                            coalesce(input_low_nj - boards_high_nj, 0), coalesce(surely_nj, 0), 0
                        )
                    )
                )
            )
        )
),
held AS (
    SELECT hour_us, node, job_id, sum(device_us)::HUGEINT AS device_us
    FROM ledger_hour
    WHERE job_id IS NOT NULL
    GROUP BY ALL
),
borne AS (
    SELECT
        l.hour_us,
        l.job_id,
        unnest(['host', 'low', 'high']) AS what,
        unnest([
            h.host_nj, CASE WHEN h.host_nj IS NOT NULL THEN h.low_nj END, h.high_nj
        ]) AS whole_nj,
        CASE WHEN l.device_us = 0 THEN 0 ELSE whole_nj * l.device_us // h.capacity_us END AS own_nj
    FROM held AS l
    JOIN host AS h USING (hour_us, node)
),
of_job AS (
    SELECT
        hour_us, job_id, what,
        CASE WHEN count(own_nj) = count(*) THEN sum(own_nj)::HUGEINT END AS expected_nj
    FROM borne
    GROUP BY ALL
),
booked AS (
    SELECT
        hour_us,
        job_id,
        host_method,
        unnest(['host', 'low', 'high']) AS what,
        unnest([e_host_nj, e_host_low_nj, e_host_high_nj])::HUGEINT AS booked_nj
    FROM job_hour_index
),
wrong_job AS (
    SELECT o.hour_us, NULL AS node, o.job_id, o.what AS method, b.booked_nj, o.expected_nj
    FROM of_job AS o
    LEFT JOIN booked AS b USING (hour_us, job_id, what)
    WHERE b.booked_nj IS DISTINCT FROM o.expected_nj
),
wrong AS (
    SELECT * FROM wrong_host
    UNION ALL
    SELECT * FROM wrong_job
)
SELECT
    strftime(make_timestamp(hour_us), '%Y-%m-%dT%H:00Z') AS hour,
    node,
    job_id,
    method,
    booked_nj,
    expected_nj
FROM wrong
ORDER BY ALL
