"""The verbs, each on a real database, both engines."""
