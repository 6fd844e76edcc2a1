"""What operators get in deploy/: each file read by the tool that knows it, and run where this machine can."""
