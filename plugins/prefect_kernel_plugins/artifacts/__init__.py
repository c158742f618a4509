"""Artifacts: every one, and the latest of each key."""
