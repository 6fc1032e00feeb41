"""The image that every step runs in: components/Dockerfile builds it, and the compiled pipeline names it."""

from __future__ import annotations

IMAGE = "serinus/pipeline:0.1.0"
