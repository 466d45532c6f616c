-- What the rule reaches behind stores of other sizes.
-- In: storage_sweep; $studies (ids). Out: one row a size of a study, by energy and power.
SELECT
    study_id, energy_nj, power_mw, reached_ramp_mw_s, reached_peak_mw, kept
FROM storage_sweep
WHERE list_contains($studies, study_id)
ORDER BY study_id, energy_nj, power_mw
