"""The tests; run them with tox, on the built wheel."""
