"""The one way to run git and to read its output, its names and its addresses; shared by host and boxes, standard library only."""
