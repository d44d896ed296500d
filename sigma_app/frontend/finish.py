"""Finishes the exported pages; written next."""

from reflex.plugins import Plugin


class FinishPages(Plugin):
    """Placeholder until the build step lands."""
