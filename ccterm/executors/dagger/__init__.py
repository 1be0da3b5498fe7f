"""Runs steps in Dagger containers: isolated, side by side, on the user's own engines. Only this package imports dagger.

`executor` is light and may be imported by anybody; what needs the SDK (`session`, `image`, `boxes`) is loaded when an engine is first
used, in a thread, because importing it takes a second.
"""
