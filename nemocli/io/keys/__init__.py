"""Keys: the environment, the keyring, a command or a private file."""
