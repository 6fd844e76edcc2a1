"""The log's bytes, against literal texts and published vectors."""
