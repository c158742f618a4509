"""People at the web interface, in a real browser: `tox -e ui`."""
