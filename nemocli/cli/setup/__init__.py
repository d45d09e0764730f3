"""`nemocli config`, `doctor`, `completion` and `version`: this installation."""
