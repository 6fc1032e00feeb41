"""Real servers for tests: a context manager each that picks a free port, waits for readiness, ends its process."""
