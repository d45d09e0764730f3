"""The gateway as an HTTP server."""
