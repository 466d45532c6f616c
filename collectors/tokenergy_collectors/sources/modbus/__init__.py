"""Facility meters that speak Modbus TCP.

In: registers of meters and gateways. Out: rows of `meter`.
"""
