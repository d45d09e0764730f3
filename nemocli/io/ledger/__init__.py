"""The ledger in SQLite: one append-only row per attempt, with its sums, budgets and leases."""
