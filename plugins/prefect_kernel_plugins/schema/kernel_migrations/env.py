"""Run by alembic: renders the migrations for the dialect and into the buffer that `kernel_sql.render` names."""

from alembic import context

context.configure(version_table="kernel_alembic_version", transaction_per_migration=True, **context.config.attributes)
with context.begin_transaction():
    context.run_migrations()
