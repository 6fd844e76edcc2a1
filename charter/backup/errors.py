"""What can go wrong with a backup or a restore, as one sentence for whoever reads the terminal or the cron mail."""

from __future__ import annotations


class BackupError(Exception):
    """Nothing was made or restored; the text is one sentence and names no person."""


class BusyError(BackupError):
    """Another backup or restore is at work in the same folder."""
