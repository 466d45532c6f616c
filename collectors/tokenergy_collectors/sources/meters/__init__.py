"""What all sources of facility meters share: waits, rows of `meter`, events.

In: readers of devices, from `modbus` and others. Out: rows of `meter`; events `meter_lost` and
`meter_found`. It is no source itself.
"""
