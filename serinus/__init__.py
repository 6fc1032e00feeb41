"""Serinus: what is true about a model's loop, without any process or server.

Nothing in this package imports `services`, `components` or `pipelines`; inside it arrows point inward:
adapters and steps -> ports, decide, render, stats -> facts, spec, errors.
"""

__version__ = "0.1.0"
