"""`nemocli serve` and `nemocli launch`."""
