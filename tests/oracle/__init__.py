"""A second opinion: staged histories, an oracle in plain Python, a comparison with the tool.

See docs/oracle.md.
"""
