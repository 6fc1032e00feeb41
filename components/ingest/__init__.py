"""Step 1: from the loop's source to a snapshot with a version. Its body is `serinus.steps.ingest`."""
