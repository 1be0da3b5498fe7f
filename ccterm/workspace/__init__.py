"""The user's repositories and an agent's work on the host: snapshots, kept commits, changes brought back."""
