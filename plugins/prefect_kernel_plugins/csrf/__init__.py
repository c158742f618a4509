"""CSRF tokens, one per client."""
