"""What may leave a box: the rules, the facts they are applied to, and the paths that need the user's permission."""
