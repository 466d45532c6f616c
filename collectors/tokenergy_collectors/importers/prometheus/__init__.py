"""Imports from any store that answers Prometheus' HTTP API.

In: samples of known exporters and engines, as they were scraped. Out: rows of `power`, `state`,
`device`, `tokens` and `jobs`, chunk by chunk.
"""
