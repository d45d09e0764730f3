"""`nemocli sessions`: conversations that are kept, listed, read, searched, exported, removed."""
