"""`nemocli chat`: a conversation in the terminal."""
