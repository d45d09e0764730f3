"""Containers of NIM through the engine's own program."""
