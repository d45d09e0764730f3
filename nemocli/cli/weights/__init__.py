"""`nemocli weights`: plan, pull, verify, move and remove repositories of weights."""
