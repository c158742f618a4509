"""Whether the senders of a webhook sign the time, and by how much it may differ (see `webhooks/receiving.py`)."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Add the columns; webhooks that are there go on as they are."""
    op.add_column("kernel_webhook", sa.Column("timestamp_header", sa.String()))
    op.add_column("kernel_webhook", sa.Column("tolerance_seconds", sa.Integer()))
