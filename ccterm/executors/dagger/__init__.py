"""Runs steps in Dagger containers, isolated, on the user's own engines. Only this package imports dagger.

`executor` is cheap to import. The modules that need the SDK (`session`, `images`, `boxes`) are loaded in a thread when an engine is
first used, because importing the SDK takes a second.
"""
