"""What keeps a mirror from being made; each text is one sentence for whoever asked for it."""

from __future__ import annotations


class MirrorError(Exception):
    """The mirror was not finished; what is there stays usable, and the next run goes on."""


class BusyError(MirrorError):
    """Another run is at work in this folder."""
