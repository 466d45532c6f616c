"""TokEnergy, integration: lake -> readings -> kernel (CPU or CUDA) -> segments -> lake."""
