"""Very many calls at once: a bounded pool of work, and how fast servers may be asked."""
