"""Token metrics that programs of this host push by OpenTelemetry's protocol.

In: OTLP over HTTP on loopback. Out: rows of `tokens`.
"""
