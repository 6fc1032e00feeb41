"""The pipeline's components: KFP shells of under 40 lines around `serinus.steps`; no logic lives here."""
