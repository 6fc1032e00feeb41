"""The mathematics, each method with its source: bins, distances, intervals, sequential tests.

Pure functions of numbers: no clock, no I/O, and randomness only as a Generator that is passed in.
"""
