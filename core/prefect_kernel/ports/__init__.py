"""Ports: what the kernel needs from the outside, as protocols. Drivers are plugins."""
