"""Our drift check beside other libraries' documented ones, on the same rows: `python -m benchmarks.drift`."""
