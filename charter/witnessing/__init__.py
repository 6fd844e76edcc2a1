"""Witnesses: others who sign that the log's checkpoints extend those they have seen; and when one may be shown."""
