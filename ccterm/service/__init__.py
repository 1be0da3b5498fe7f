"""Everything that a user can ask for, whichever process carries it out."""
