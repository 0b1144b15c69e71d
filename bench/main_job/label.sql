-- Stored histories and a stored model, as a source keeps them
SELECT segment(rfm_score(history, (SELECT model FROM stored_model), :'as_of'), (SELECT compile_scheme('standard'))), count(*)
FROM stored_history
GROUP BY 1 \g /dev/null
