"""Readings of host meters that scripts write into files: `*.prom`, in Prometheus text format."""
