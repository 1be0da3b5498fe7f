"""Executors run steps: the interface in `base`, and one implementation per package."""
