"""The transparency log's bytes: canonical JSON, leaves, record lines and RFC 6962 hashes; no keys, no database."""
