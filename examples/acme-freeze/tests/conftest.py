"""Brings the kernel's test kit."""

pytest_plugins = ["prefect_kernel.testing"]
