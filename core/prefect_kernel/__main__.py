"""`python -m prefect_kernel`: the command line."""

from .cli import main

main()
