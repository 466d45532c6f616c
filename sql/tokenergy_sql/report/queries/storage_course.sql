-- The stretches that work the stores hardest.
SELECT
    study_id, ts_us, length_us, load_mw, grid_mw, causal_mw, charge_share
FROM storage_course
WHERE list_contains($studies, study_id)
ORDER BY study_id, ts_us
