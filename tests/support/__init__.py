"""What the tests stand on: databases, Redis, kernel processes and the reference server."""
