"""A benchmark: the kernel and Python Prefect side by side, on copies of one database."""
