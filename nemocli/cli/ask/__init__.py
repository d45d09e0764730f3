"""`nemocli ask`: from what was typed to one answer, drawn."""
