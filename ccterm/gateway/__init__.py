"""The gateway: a process on this machine that keeps the Claude login outside of the boxes.

A box gets a pass, which is worth nothing elsewhere. The gateway ends the box's connection to the API, takes the login in place of the pass and
forwards everything else as it is. `client` is the daemon's side; every other module but `certificates` belongs to the process and imports
nothing of ccterm above `git`, so that it starts fast and stays small.
"""
