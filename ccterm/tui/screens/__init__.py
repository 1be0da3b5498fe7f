"""The screens: each is one thing that a user does."""
