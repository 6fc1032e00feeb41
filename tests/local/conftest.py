"""Fixtures that several files here share."""

from tests.servers.kubeflow import compiled, place  # noqa: F401
