"""Concurrency limits by tag, the first version of them."""
