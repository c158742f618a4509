"""The built-in plugins: every endpoint group, policy, driver and service of the server."""
