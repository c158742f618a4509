"""Events: taken in, kept, asked for."""
