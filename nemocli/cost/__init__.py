"""What was spent: sums over the ledger, told in numbers and in words."""
