"""What is measured, how, and the last results: `python3 dev.py bench`."""
