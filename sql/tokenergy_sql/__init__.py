"""TokEnergy, analysis: segments -> ledger -> index -> checks and report, in DuckDB SQL."""
