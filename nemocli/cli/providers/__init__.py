"""`nemocli providers`, `models` and `auth`: the paths, what is known of them, and their keys."""
