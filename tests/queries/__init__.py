"""The nouns: what each audience is shown."""
