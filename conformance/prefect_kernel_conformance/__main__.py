"""`python -m prefect_kernel_conformance`."""

from .cli import main

if __name__ == "__main__":
    main()
