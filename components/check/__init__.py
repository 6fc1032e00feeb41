"""Step 2, a gate: whether a model may learn from the snapshot. Its body is `serinus.steps.check`."""
