"""Step 4, a gate: whether the candidate may meet users. Its body is `serinus.steps.validate`."""
