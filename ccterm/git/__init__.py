"""Running git and reading its output, names and addresses: one way each, shared by host and boxes. Standard library only."""
