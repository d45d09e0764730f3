"""Whether a model should be adopted: tasks with state and tools, attempts, metrics, a verdict."""
