"""HTTP: one pooled client, one for very many calls, one for large files."""
