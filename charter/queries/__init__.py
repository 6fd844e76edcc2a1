"""What is seen: frozen dataclasses with exactly the fields their audience may see; never a row, never a write."""
