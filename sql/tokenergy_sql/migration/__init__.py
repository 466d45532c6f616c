"""Brings a lake of an earlier version to the current contract: raw files stay, the rest is made."""
