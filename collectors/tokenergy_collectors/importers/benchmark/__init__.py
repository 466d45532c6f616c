"""Imports what a benchmark of a server wrote: vLLM's result, AIPerf's exports."""
