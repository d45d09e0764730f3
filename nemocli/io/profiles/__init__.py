"""Profile files: read, checked, layered, and cached."""
