"""Whole rollouts in fake time with seeded traffic: the rates of error that the judge promises, counted."""
