"""Tests of what is asked of object stores."""
