"""Backup and restore, the leaves file, and the drill that loses a machine."""
