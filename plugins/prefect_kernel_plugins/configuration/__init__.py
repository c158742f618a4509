"""Configuration: what a server keeps about itself, by key."""
