"""Getting every byte of a repository: workers, files under way, one stretch at a time."""
