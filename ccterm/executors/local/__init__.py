"""Runs steps as process trees in private directories of this machine."""
