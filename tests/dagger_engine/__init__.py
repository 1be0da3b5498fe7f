"""A stand-in for a Dagger engine and its CLI, for tests: the SDK and all of ccterm's own code run against it unchanged.

It speaks what a recorded engine (v0.21.8) spoke: the session's one line and its deafness, GraphQL validated against the pushed schema,
lazy calls that are cached by their chain, the log stream with all that it loses and repeats, exit codes, masking, cancelling by a closed
connection, the several ways in which a session ends.

What it is not: a container is a private directory whose /box, /ccterm and /home/agent are meant wherever an exec names them. Processes are
processes of this machine and this user: there is no other root, no other user (`agent` is whoever runs the tests), no network of its own.
So nothing that the engine does for safety is shown here. Images are texts that say what is in them; the scripts that look into an image
and complete it are answered from that, never run. A helper service is looked up and not started. A service of the host's loopback is
reached through an HTTP proxy in the environment, so by http alone. Files get no owner.
"""
