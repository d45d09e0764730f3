"""Servers that must be started before they can be asked, and the weights they need."""
