"""Deployments and their schedules."""
