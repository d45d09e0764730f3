"""`nemocli batch`: from a command line to very many calls, and their results for people."""
