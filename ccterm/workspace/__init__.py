"""What becomes of an agent's work on the host: how it is judged, kept and brought back."""
