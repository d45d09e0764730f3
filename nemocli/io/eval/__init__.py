"""Suites and runs of evaluations on the disk."""
