"""Automations: what is done when events happen, or do not."""
