"""The predictor: a process that answers for one version of one model, on KServe's ModelServer.

Here live the HTTP door, the checks of callers' rows, the predictor's metrics and its life from start to drain. What a
model is and how it answers is in `serinus.artifact` and `serinus.models`; who gets traffic is a router's business.
"""
