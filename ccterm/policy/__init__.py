"""What may leave a box: the rules, what they are judged by, and the paths that need a word of the user."""
