"""Benchmarks: Wireside's cost as a ratio to a bare relay of the same bytes. Run ``make bench``."""
