-- Every process on a board belongs to a job.
-- warn, hourly
-- In: checked_hour, stray_spell, ledger. Out: in each hour the processes that were on a board
-- without a job, from when to when, and the energy of the board that the ledger has in
-- `unattributed` meanwhile. What a later job list explains is not there any more.
--
-- Processes that were on one board at the same time share its energy: each row has all of it.
SELECT
    p.node,
    p.device_id,
    strftime(make_timestamp(p.start_us), '%Y-%m-%dT%H:%M:%SZ') AS "from",
    coalesce(strftime(make_timestamp(p.end_us), '%Y-%m-%dT%H:%M:%SZ'), 'now') AS "to",
    round(joules(sum(
        l.energy_nj::HUGEINT
        * (least(l.end_us, coalesce(p.end_us, l.end_us)) - greatest(l.start_us, p.start_us))
        // (l.end_us - l.start_us)
    )), 3) AS unattributed_j,
    p.detail AS process
FROM stray_spell AS p
JOIN ledger AS l
    ON l.device_id = p.device_id
    AND l.node = p.node
    AND l.account = 'unattributed'
    AND l.end_us > p.start_us
    AND l.start_us < coalesce(p.end_us, l.end_us)
JOIN checked_hour AS h ON hour_of(l.start_us) = h.hour_us
GROUP BY p.node, p.device_id, p.start_us, p.end_us, p.detail
ORDER BY ALL
