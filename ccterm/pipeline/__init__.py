"""One run from checkout to push: which steps, in which order, and what each result means."""
