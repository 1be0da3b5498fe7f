"""What the real Claude CLI printed, run by run; see README.md."""
