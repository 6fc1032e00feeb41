"""What to do, decided from arguments alone: evidence and `now` come in, values come out.

No clock, no I/O, no randomness, no system's client. What was seen is fetched by drivers, what follows is done by them.
"""
