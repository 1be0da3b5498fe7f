"""An agent that plays a script and prints the stream of the real one."""
