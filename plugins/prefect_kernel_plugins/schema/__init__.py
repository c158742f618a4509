"""The database schema: how it is made, recognised, brought up to date and stamped."""
