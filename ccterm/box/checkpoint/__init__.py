"""Hands out, while an agent works in a container, what would be lost with the container."""
