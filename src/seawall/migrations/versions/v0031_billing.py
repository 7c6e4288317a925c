"""Being paid: what Stripe tells is kept once, and workers alone say what a user has paid for."""

from alembic import op

from seawall.db.engine import APP_ROLE, WORKER_ROLE
from seawall.migrations.operations import grant, open_to_doors

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

BEFORE = "'active', 'canceled', 'past_due', 'trialing'"

# Whose a message of Stripe's is: the subscription's user, else the customer's.
FIND_SUBSCRIBER = """
CREATE FUNCTION find_subscriber(of_subscription text, of_customer text) RETURNS uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT user_id FROM subscriptions
    WHERE stripe_subscription_id = of_subscription OR stripe_customer_id = of_customer
    ORDER BY stripe_subscription_id IS DISTINCT FROM of_subscription, created_at LIMIT 1
$$
"""
LIST_SUBSCRIBERS = """
CREATE FUNCTION list_subscribers() RETURNS SETOF uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
AS $$SELECT DISTINCT user_id FROM subscriptions$$
"""


def upgrade() -> None:
    op.execute("ALTER TABLE subscriptions ADD stripe_state jsonb")
    _name_statuses(f"{BEFORE}, 'inactive'")
    _index("status NOT IN ('canceled', 'inactive')")
    # What is paid for is Stripe's to say, and only a worker hears it.
    op.execute(f"REVOKE INSERT, UPDATE ON subscriptions FROM {APP_ROLE}")
    op.execute(f"GRANT INSERT, UPDATE ON subscriptions TO {WORKER_ROLE}")
    op.execute("""
        CREATE TABLE billing_events (
            id text CONSTRAINT pk_billing_events PRIMARY KEY,
            type text NOT NULL,
            facts jsonb NOT NULL,
            created_at timestamptz NOT NULL DEFAULT now(),
            applied_at timestamptz,
            outcome text,
            CONSTRAINT ck_billing_events_id CHECK (length(id) BETWEEN 1 AND 255),
            CONSTRAINT ck_billing_events_type CHECK (length(type) BETWEEN 1 AND 100),
            CONSTRAINT ck_billing_events_applied
                CHECK ((applied_at IS NULL) = (outcome IS NULL))
        )
    """)
    op.execute("CREATE INDEX idx_billing_events_created_at ON billing_events (created_at)")
    grant("billing_events", "INSERT")
    op.execute(f"GRANT SELECT, UPDATE ON billing_events TO {WORKER_ROLE}")
    open_to_doors("subscriptions")
    op.execute(FIND_SUBSCRIBER)
    op.execute(LIST_SUBSCRIBERS)
    op.execute(f"GRANT EXECUTE ON FUNCTION find_subscriber, list_subscribers TO {WORKER_ROLE}")
    # A session's copy in the cache has the tier.
    op.execute("""
        CREATE TRIGGER notify_cache_of_tier AFTER UPDATE OF tier ON users
        FOR EACH ROW WHEN (OLD.tier <> NEW.tier) EXECUTE FUNCTION notify_cache_of_user()
    """)


def _name_statuses(names: str) -> None:
    op.execute(f"""
        ALTER TABLE subscriptions DROP CONSTRAINT ck_subscriptions_status,
            ADD CONSTRAINT ck_subscriptions_status CHECK (status IN ({names}))
    """)


def _index(running: str) -> None:
    for name, column in (("active", "user_id"), ("active_customer", "stripe_customer_id")):
        op.execute(f"DROP INDEX uq_subscriptions_{name}")
        op.execute(f"""
            CREATE UNIQUE INDEX uq_subscriptions_{name} ON subscriptions ({column})
            WHERE {running}
        """)


def downgrade() -> None:
    op.execute("DROP TRIGGER notify_cache_of_tier ON users")
    op.execute("DROP FUNCTION list_subscribers, find_subscriber")
    op.execute("DROP POLICY door_select ON subscriptions")
    op.execute("DROP TABLE billing_events")
    op.execute(f"REVOKE INSERT, UPDATE ON subscriptions FROM {WORKER_ROLE}")
    grant("subscriptions", "INSERT", "UPDATE")
    op.execute("ALTER TABLE subscriptions NO FORCE ROW LEVEL SECURITY")
    op.execute("""
        UPDATE subscriptions SET status = 'canceled', canceled_at = coalesce(canceled_at, now())
        WHERE status = 'inactive'
    """)
    op.execute("ALTER TABLE subscriptions FORCE ROW LEVEL SECURITY")
    _index("status <> 'canceled'")
    _name_statuses(BEFORE)
    op.execute("ALTER TABLE subscriptions DROP stripe_state")
