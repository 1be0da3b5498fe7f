"""One run from checkout to publish: which steps, in which order, and what each result means."""
