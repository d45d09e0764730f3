"""Conversations: turns, what is asked next, what is kept, and how it reads; no terminal in it."""
