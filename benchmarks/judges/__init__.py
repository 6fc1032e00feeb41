"""Our judge beside the documented rules of other tools, on the same simulated traffic.

Each rule is written from its tool's documentation, with the values that the documentation gives as its example, and
asks what the documented query asks. tests/simulation/worlds makes the traffic.
"""
