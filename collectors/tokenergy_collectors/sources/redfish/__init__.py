"""Power and energy of servers by their management controllers (BMC), over Redfish.

In: JSON resources of BMCs. Out: rows of `meter`.
"""
