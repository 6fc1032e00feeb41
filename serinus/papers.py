"""What lies beside a version's model directory: the names of the files, which steps and adapters share."""

from __future__ import annotations

ORIGIN = "origin.json"  # facts.Origin
EVALUATION = "evaluation.json"  # facts.Evaluation
EVALUATION_PAGE = "evaluation.html"  # the same for people, with its curves
ROWS = "dataset"  # the folder of the snapshot, where it is kept
ROLLOUT = "rollout.json"  # facts.RolloutRecord of the latest rollout
ROLLOUTS = "rollouts.json"  # of all, oldest first
CARD, CARD_PAGE = "card.md", "card.html"  # the model card
