"""Where steps run: the seam, and one place after the other that fits it."""
