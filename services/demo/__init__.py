"""`serinus demo`: real flights of 2013 replayed against a loop that has to keep its model good by itself.

It uses the loop as any caller does, through its endpoint, its files and its command line, and owns no part of it.
"""
