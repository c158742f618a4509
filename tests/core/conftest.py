"""Gives the kit of plugin authors to the kernel's own tests."""

from prefect_kernel.testing import make_kernel

__all__ = ["make_kernel"]
