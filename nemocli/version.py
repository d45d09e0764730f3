"""The version, written here so that nothing has to be looked up at start."""

__version__ = "0.1.0"

USER_AGENT = f"nemocli/{__version__}"
"""What servers are told."""
