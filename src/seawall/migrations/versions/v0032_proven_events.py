"""What Stripe told is kept with a proof, without which a worker applies nothing of it."""

from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # What waits from before has no proof; the next that Stripe tells says the whole again.
    op.execute("ALTER TABLE billing_events ADD proof bytea NOT NULL DEFAULT ''")
    op.execute("ALTER TABLE billing_events ALTER proof DROP DEFAULT")
    op.execute("""
        CREATE INDEX idx_billing_events_customer_deleted ON billing_events ((facts ->> 'customer'))
        WHERE type = 'customer.deleted'
    """)


def downgrade() -> None:
    op.execute("DROP INDEX idx_billing_events_customer_deleted")
    op.execute("ALTER TABLE billing_events DROP proof")
