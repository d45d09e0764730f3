"""Scripted calls at scale: a million rows, killed twice, paid once."""
