"""`nemocli nim`: a local NIM, from GPUs to an endpoint."""
