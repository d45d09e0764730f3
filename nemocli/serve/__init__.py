"""The gateway: every path at one address, in the dialect that agents speak."""
