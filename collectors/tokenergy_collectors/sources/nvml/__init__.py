"""GPUs through NVML: boards and their readings, nameplates, MIG instances, update periods."""
