"""Tests, by floor; `journeys` in a real browser, `house` for the rules of the house."""
