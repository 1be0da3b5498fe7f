"""Start the gateway's process: orders come in on stdin, what it tells goes out on stdout."""

from ccterm.gateway.process import main

main()
