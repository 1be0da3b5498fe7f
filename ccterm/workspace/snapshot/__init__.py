"""A working copy as a run found it: listed, hashed, and kept as a commit that any step can start from."""
