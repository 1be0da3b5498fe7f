"""The front door: everything that a user can ask for, whoever carries it out."""
