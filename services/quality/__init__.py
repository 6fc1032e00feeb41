"""The quality job: one look at what the champion answered and what turned out to be true, left in the ledger.

What lives here: the job and its main. What does not: the rule (`serinus/decide/quality.py`), what a loss of quality
comes from (`serinus/decide/concept.py`), the run that follows (the loop itself asks for it), the schedule.
"""
