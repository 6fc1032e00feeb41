"""Step 5: from a validated candidate to a version in the registry. Its body is `serinus.steps.register`."""
