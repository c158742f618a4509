"""What automations need to lose nothing and to do nothing twice (see `automations/store.py`).

- `kernel_trigger_event`: the events that triggers have not yet seen; written with the events, deleted with what they
  have changed.
- `kernel_proactive_run`: when a proactive trigger is looked at next.
- `kernel_automation_firing`, `kernel_automation_action`: what fired, and the actions to be done because of it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from prefect_kernel_plugins.schema.kernel_migrations import ID, SEQUENCE, TIMESTAMP, create_index

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "kernel_trigger_event",
        sa.Column("seq", SEQUENCE, primary_key=True, autoincrement=True),
        sa.Column("event_id", ID, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "kernel_proactive_run",
        sa.Column("trigger_id", ID, primary_key=True),
        sa.Column("due", TIMESTAMP, nullable=False),
    )
    op.create_table(
        "kernel_automation_firing",
        sa.Column("id", ID, primary_key=True),
        sa.Column("automation_id", ID, nullable=False),
        sa.Column("fired", TIMESTAMP, nullable=False),
        sa.Column("event_id", ID, nullable=False),
        sa.Column("automation", sa.Text(), nullable=False),
        sa.Column("firing", sa.Text(), nullable=False),
    )
    op.create_table(
        "kernel_automation_action",
        sa.Column("id", ID, primary_key=True),
        sa.Column("firing_id", ID, nullable=False),
        sa.Column("automation_id", ID, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("event", sa.Text()),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due", TIMESTAMP, nullable=False),
        sa.Column("error", sa.Text()),
        sa.Column("created", TIMESTAMP, nullable=False),
        sa.Column("updated", TIMESTAMP, nullable=False),
    )
    create_index(
        "kernel_ix_automation_firing__automation_fired", "kernel_automation_firing (automation_id, fired)", new=True
    )
    create_index("kernel_ix_automation_firing__fired", "kernel_automation_firing (fired)", new=True)
    create_index("kernel_ix_automation_action__firing", "kernel_automation_action (firing_id)", new=True)
    create_index(
        "kernel_ix_automation_action__due", "kernel_automation_action (due) WHERE status = 'pending'", new=True
    )
