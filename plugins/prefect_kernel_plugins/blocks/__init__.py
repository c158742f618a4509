"""Blocks: types, schemas, documents."""
