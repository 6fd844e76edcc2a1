"""What strangers send: damaged, huge, forged and clever requests."""
