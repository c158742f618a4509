"""Flow runs."""
