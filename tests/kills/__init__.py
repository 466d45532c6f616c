"""Runs that are killed at random points, beside readers and beside each other."""
