"""The HTTP API of `ccterm serve`: thin routes over the service. Imported by that command alone."""
