"""One file for each real system behind a port, and what it takes to speak with it; nothing here decides anything.

`Any` and a system's own exceptions end here: callers see `serinus.facts` and `serinus.errors` only.
"""
