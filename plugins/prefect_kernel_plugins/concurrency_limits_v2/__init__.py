"""Concurrency limits by name."""
