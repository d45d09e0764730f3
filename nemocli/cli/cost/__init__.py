"""`nemocli cost`: what calls cost, caps on it, prices, and exports."""
