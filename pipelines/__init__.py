"""The pipeline's graph and its compiled form; what a step does lives in `serinus.steps`."""
