"""Logins, tokens and secrets: where they come from, and the one form in which a box gets them."""
