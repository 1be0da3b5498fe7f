"""The programs of docs/python.md: the page shows these files, tests check their types and run them."""
