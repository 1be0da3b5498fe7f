"""A stand-in for a Dagger engine and its CLI: in tests, the SDK and all of ccterm's own code run against it unchanged.

It behaves like the engine that was recorded (v0.21.8): the session's greeting, GraphQL validated against the published schema, lazy calls
cached by their chain, a log stream that loses and repeats records, exit codes, masking, cancellation by a closed connection, and the
different ways in which a session ends.

Its limits: a container is a private directory, and /box, /ccterm and /home/agent in commands refer to it. Execs are processes of this
machine and this user: there is no other root, no other user (`agent` is the user who runs the tests), and no separate network. So it shows
nothing about the engine's isolation. Images are descriptions of their contents; the scripts that probe and complete an image are answered
from that, never run. A service container is resolved but not started. A loopback service of the host is reached through an HTTP proxy in
the environment, so over http alone; git, which uses no proxy there, finds it by a setting that needs git 2.37. Files have no owner.
"""
