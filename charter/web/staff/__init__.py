"""The Centre's desk: closed by default, one module a desk."""
