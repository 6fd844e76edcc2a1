"""Tests of the mirror: the public side as files."""
