"""Whole roads in a real browser, against the service as it is run, with real mail in between."""
