"""Facility meters that speak BACnet/IP: of a building's system, by themselves or behind a router.

In: objects of BACnet devices. Out: rows of `meter`.
"""
