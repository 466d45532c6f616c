"""Tests of the working copies of lakes in object stores."""
