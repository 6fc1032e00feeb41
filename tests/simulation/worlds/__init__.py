"""Seeded worlds in which a whole rollout takes place in fake time: traffic, its counters, and who decides on them.

facts: what a world is made of. draw: its traffic. scrapes: what Prometheus would hold of it. play: a rollout in it.
catalogue: the worlds that promises are counted in. Nothing here decides anything: the project's own code does.
"""
