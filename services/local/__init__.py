"""`serinus up`: the loop on one machine, under a supervisor of its own."""
