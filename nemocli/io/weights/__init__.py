"""Files of weights on this machine, and the stores they come from."""
