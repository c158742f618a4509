"""What nobody outside of the kernel should rely on."""
