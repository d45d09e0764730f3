"""The version, written here so that nothing has to be looked up at start."""

__version__ = "0.1.0"
