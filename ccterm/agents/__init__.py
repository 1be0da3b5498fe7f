"""The programs that do tasks, each behind the same seam."""
