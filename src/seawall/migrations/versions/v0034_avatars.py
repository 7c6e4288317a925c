"""Addresses of avatars: those that the API lets in, and no others."""

from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None

_ALLOWED = (
    r"^https://([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])"
    r"([/?#][A-Za-z0-9._~:/?#\[\]@!$&()*+,;=%-]*)?$"
)
_WIDER = "^(https?://|/[^/])"


def upgrade() -> None:
    # The API let in more until now. With such an address the rest of a profile could not be changed
    # any more; each that goes is in its user's log, as whatever changes there.
    op.execute("ALTER TABLE profiles NO FORCE ROW LEVEL SECURITY")
    op.execute(f"""
        DO $$
        DECLARE
            bound text := current_setting('app.user_id', true);
            whose uuid;
        BEGIN
            FOR whose IN SELECT user_id FROM profiles WHERE avatar_url !~ '{_ALLOWED}' LOOP
                PERFORM set_config('app.user_id', whose::text, true);
                UPDATE profiles SET avatar_url = NULL WHERE user_id = whose;
            END LOOP;
            PERFORM set_config('app.user_id', bound, true);
        END $$
    """)  # noqa: S608 - ours
    op.execute("ALTER TABLE profiles FORCE ROW LEVEL SECURITY")
    _constrain(_ALLOWED)


def downgrade() -> None:
    _constrain(_WIDER)


def _constrain(pattern: str) -> None:
    op.execute("ALTER TABLE profiles DROP CONSTRAINT ck_profiles_avatar_url")
    op.execute(f"""
        ALTER TABLE profiles ADD CONSTRAINT ck_profiles_avatar_url
            CHECK (length(avatar_url) <= 500 AND avatar_url ~ '{pattern}')
    """)
