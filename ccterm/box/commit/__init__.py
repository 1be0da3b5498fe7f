"""Makes one commit of an agent's tree, read as data."""
