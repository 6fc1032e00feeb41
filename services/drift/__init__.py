"""The drift job: one look at the champion's live counts, left in the ledger; asks for a retrain when the rule says so.

What lives here: the job and its main. What does not: the rule (`serinus/decide/drift.py`, `retrain.py`), the tests
(`serinus/detectors/`, `serinus/stats/`), the schedule (whoever runs the job).
"""
