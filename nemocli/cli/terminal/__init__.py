"""The terminal: the only writers to stdout and stderr, and plain tables."""
