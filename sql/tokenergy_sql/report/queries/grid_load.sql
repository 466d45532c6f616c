-- The load of one group over time. In: load_profile, $kind, $group_id, $step_us (whole hours).
-- An hour with readings at its first instant alone has no profile: they end the hour before.
-- Out: one row a step that has a profile: least, mean and highest load, how much of it is known.
SELECT
    hour_us // $step_us * $step_us AS from_us,
    min(min_mw) AS low_mw,
    sum(mean_mw * cells * step_us) / nullif(sum(cells::DOUBLE * step_us), 0) AS average_mw,
    max(max_mw) AS high_mw,
    avg(coverage) AS covered
FROM load_profile
WHERE kind = $kind AND group_id = $group_id AND coalesce(as_of_us > hour_us, true)
GROUP BY hour_us // $step_us * $step_us
ORDER BY hour_us // $step_us * $step_us
