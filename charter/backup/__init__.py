"""Backup and restore: a copy of the database, sealed and kept beside the leaves file, and the way back from both."""
