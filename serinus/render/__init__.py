"""Specs and routings as the objects of other systems: pure functions from plain arguments to plain dicts.

No client, no file, no clock lives here; what is rendered is compared whole in tests.
"""
