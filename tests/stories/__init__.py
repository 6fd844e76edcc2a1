"""Whole roads through the doors, without a browser engine, on both databases."""
