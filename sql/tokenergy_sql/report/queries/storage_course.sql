-- The stretches that work the stores hardest.
-- In: storage_course; $studies (ids). Out: one row a cell of a study's stretch, in order.
SELECT
    study_id, ts_us, length_us, load_mw, grid_mw, causal_mw, charge_share
FROM storage_course
WHERE list_contains($studies, study_id)
ORDER BY study_id, ts_us
