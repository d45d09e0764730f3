"""`nemocli eval`: should this model be adopted? Suites, runs, verdicts."""
