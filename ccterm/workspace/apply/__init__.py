"""Bringing changes into a working copy, all or nothing, with a journal, and undoing that."""
