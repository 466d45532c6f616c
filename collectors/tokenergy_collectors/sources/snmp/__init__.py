"""Facility meters that speak SNMP: rack PDUs, UPSes, feeds.

In: objects of SNMP agents, v2c and v3. Out: rows of `meter`.
"""
