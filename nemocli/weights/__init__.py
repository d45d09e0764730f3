"""Weights that arrive whole: plan, pull, verify and move repositories of hundreds of gigabytes."""
