"""`nemocli help`: the words of `--help`, and topics that do not fit under one command."""
