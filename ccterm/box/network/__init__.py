"""How the programs of a box reach the network: the box proxy and its rules, and how a box is closed but for it."""
