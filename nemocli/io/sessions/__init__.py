"""Conversations in SQLite: every turn is on the disk as it happens."""
