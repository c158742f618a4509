"""The conformance runner, and a sample of what it finds."""
