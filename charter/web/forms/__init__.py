"""Forms: one module a room; they check shape only, meaning belongs to the operation."""
