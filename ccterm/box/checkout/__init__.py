"""Fetches a repository and lays out the tree that an agent works in."""
