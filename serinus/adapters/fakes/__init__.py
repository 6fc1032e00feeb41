"""Ports without a system behind them, held to the real ones' behaviour by the suites in tests/contract."""
