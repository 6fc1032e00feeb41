"""Step 3: from a checked snapshot to a model directory. Its body is `serinus.steps.train`."""
