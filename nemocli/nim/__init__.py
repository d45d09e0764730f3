"""A local NIM: which container on which GPUs, how it is started, what it says of itself."""
