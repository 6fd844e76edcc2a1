"""The pure floor: what is true wherever it runs, without database, clock, request or settings."""
