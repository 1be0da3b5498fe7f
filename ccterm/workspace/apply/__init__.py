"""Changes brought into a working copy, all or nothing, journaled, and taken back."""
