"""The rules and transforms of the built-in policies, one file per concern."""
