"""Guesses at passwords and codes are counted where nothing is forgotten: beside what they guess."""

from alembic import op

from seawall.db.engine import APP_ROLE

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None

# A process whose clock is behind counts on in the window that another has begun.
COUNT_GUESS = """
CREATE FUNCTION count_guess(at_what bytea, until timestamptz) RETURNS integer
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    INSERT INTO guesses AS known (what_hash, guessed, resets_at) VALUES (at_what, 1, until)
    ON CONFLICT (what_hash) DO UPDATE SET
        guessed = CASE WHEN known.resets_at < excluded.resets_at THEN 1 ELSE known.guessed + 1 END,
        resets_at = greatest(known.resets_at, excluded.resets_at)
    RETURNING guessed
$$
"""


def upgrade() -> None:
    op.execute("""
        CREATE TABLE guesses (
            what_hash bytea CONSTRAINT pk_guesses PRIMARY KEY,
            guessed integer NOT NULL,
            resets_at timestamptz NOT NULL,
            CONSTRAINT ck_guesses_what_hash CHECK (octet_length(what_hash) = 32),
            CONSTRAINT ck_guesses_guessed CHECK (guessed > 0)
        )
    """)
    op.execute("CREATE INDEX idx_guesses_resets_at ON guesses (resets_at)")
    op.execute(COUNT_GUESS)
    op.execute(f"GRANT EXECUTE ON FUNCTION count_guess TO {APP_ROLE}")


def downgrade() -> None:
    op.execute("DROP FUNCTION count_guess")
    op.execute("DROP TABLE guesses")
