"""Servers that stand in for systems which the test machines cannot have; each says what of the real one it lacks."""
