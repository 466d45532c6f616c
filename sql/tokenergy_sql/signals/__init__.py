"""Signals of the grid beside measured energy: carbon, money, clean shares, job by job.

`reading.read_signal` returns one signal over time; `hour.signal_rows` what each job's energy of an
hour meant by the signals that the site file names.
"""
