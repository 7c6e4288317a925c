"""What can be set from outside: environment variables with one prefix, nested by two underscores.

`docs/reference/settings.md` is generated from the descriptions here.
"""

from pathlib import Path
from typing import Annotated, Literal

from platformdirs import user_data_path
from pydantic import BaseModel, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from seawall.core.errors import InvalidError


class DatabaseSettings(BaseModel):
    """The database."""

    url: SecretStr | None = Field(
        default=None,
        description="Address of a PostgreSQL 15+ to use instead of the embedded server.",
    )
    admin_url: SecretStr | None = Field(
        default=None,
        description="Address with which `seawall db migrate` makes roles and tables, when the"
        " login in `url` may not.",
    )
    name: Annotated[str, Field(max_length=63)] | None = Field(
        default=None,
        description="Name of the database; else `seawall`, or the one in `url`.",
    )
    bin_dir: Path | None = Field(
        default=None,
        description="Folder with the PostgreSQL programs that the embedded server runs.",
    )
    port: Annotated[int, Field(ge=1, le=65535)] | None = Field(
        default=None,
        description="Port on 127.0.0.1 on which the embedded server also listens; none by default.",
    )
    timescaledb: bool = Field(
        default=True,
        description="Whether new series use TimescaleDB where the server has it; `seawall db"
        " convert` moves those that do not yet.",
    )
    slow_ms: Annotated[int, Field(ge=0)] = Field(
        default=500,
        description="From how many milliseconds on a statement is logged as slow, without its"
        " values; 0 logs none.",
    )


class EncryptionSettings(BaseModel):
    """The keys that seal secrets."""

    key: SecretStr | None = Field(
        default=None,
        description="The current encryption key: 32 bytes in base64. Without one the keys are in a"
        " file, and the first is made when it is needed.",
    )
    old_keys: SecretStr | None = Field(
        default=None,
        description="Former values of `key`, with commas between them, to open what they sealed.",
    )
    key_file: Path | None = Field(
        default=None,
        description="File of the encryption keys when `key` is not set; else"
        " `secrets/encryption.keys` in the data folder.",
    )


class AuditSettings(BaseModel):
    """The audit log."""

    anchor_file: Path | None = Field(
        default=None,
        description="File of the audit log's anchors, best on a disk that the database cannot"
        " write to; else `audit/anchors.jsonl` in the data folder.",
    )


class CacheSettings(BaseModel):
    """The cache."""

    url: SecretStr | None = Field(
        default=None,
        description="Address of a Redis-compatible server; without one the cache is in-process.",
    )


class RetentionSettings(BaseModel):
    """How long rows are kept."""

    profile: Literal["standard", "lean"] = Field(
        default="standard",
        description="Which limits of the retention policy hold: `standard`, or the shorter `lean`.",
    )


class ArchiveSettings(BaseModel):
    """Where rows go that leave the database."""

    folder: Path | None = Field(
        default=None,
        description="Folder of the archive; else `archive` in the home. Each database has its own"
        " folder in it.",
    )


class WorkerSettings(BaseModel):
    """The worker, which works the queue of jobs off."""

    concurrency: Annotated[int, Field(ge=1, le=64)] = Field(
        default=2, description="How many jobs a worker runs at once."
    )
    silent_seconds: Annotated[float, Field(ge=1)] = Field(
        default=60,
        description="After how many seconds without a sign of life a worker counts as dead, and"
        " its jobs are given to another.",
    )
    grace_seconds: Annotated[float, Field(ge=0)] = Field(
        default=30,
        description="How many seconds a running job may go on after its worker was told to stop.",
    )


class MailSettings(BaseModel):
    """Sending mail."""

    host: str | None = Field(
        default=None,
        description="Server (SMTP) that takes the mail; without one it stays in the outbox, which"
        " `seawall outbox` shows.",
    )
    port: Annotated[int, Field(ge=1, le=65535)] = Field(
        default=587, description="Port of that server."
    )
    security: Literal["starttls", "tls", "none"] = Field(
        default="starttls",
        description="How the way to it is encrypted: `starttls`, `tls` from the beginning (as a"
        " rule port 465), or `none`, for a server on this machine.",
    )
    username: str | None = Field(default=None, description="Name to log in with, where it asks.")
    password: SecretStr | None = Field(default=None, description="Password to that name.")
    sender: str = Field(
        default="seawall@localhost", description="Address that mail comes from, as readers see it."
    )


class IdentitySettings(BaseModel):
    """Users."""

    registration: Literal["open", "closed"] = Field(
        default="open",
        description="Whether people may register themselves, or only `seawall user create` makes"
        " users.",
    )


class ApiSettings(BaseModel):
    """The API."""

    secret: Annotated[SecretStr, Field(min_length=32)] | None = Field(
        default=None,
        description="Secret that access tokens are signed with, the same for every process: 32"
        " characters or more. Without one it is in a file of the data folder, made when it is"
        " needed.",
    )
    metrics_token: Annotated[SecretStr, Field(min_length=16)] | None = Field(
        default=None,
        description="What `/metrics` is asked with, as a bearer token; without one it answers"
        " this machine alone.",
    )
    request_seconds: Annotated[float, Field(gt=0)] = Field(
        default=30,
        description="How many seconds a request may take to be answered; then it is undone.",
    )
    body_seconds: Annotated[float, Field(gt=0)] = Field(
        default=10, description="How many seconds a request may take to come in."
    )
    streams: Annotated[int, Field(ge=1)] = Field(
        default=2_000, description="How many streams a process has open at once."
    )
    streams_per_user: Annotated[int, Field(ge=1)] = Field(
        default=20, description="How many of them one user has."
    )
    streams_per_address: Annotated[int, Field(ge=1)] = Field(
        default=1_000, description="How many of them come from one address."
    )
    public_url: str = Field(
        default="http://localhost:8000",
        description="Address at which users reach Seawall, which links in mails begin with.",
    )


class BillingSettings(BaseModel):
    """Being paid by users, through Stripe; needs the extra `billing`."""

    enabled: bool = Field(
        default=False,
        description="Whether tiers limit what users may use, and can be paid for. Off, everybody"
        " may use everything.",
    )
    secret_key: SecretStr | None = Field(
        default=None, description="Secret key of the Stripe account, `sk_…` or `rk_…`."
    )
    webhook_secret: SecretStr | None = Field(
        default=None,
        description="Secret that Stripe signs its messages to `/api/v1/billing/webhook` with.",
    )
    prices: dict[
        Literal["plus", "pro", "power-trader"], dict[Literal["monthly", "yearly"], str]
    ] = Field(
        default_factory=dict,
        description='Stripe\'s prices for each tier, as JSON: `{"plus": {"monthly": "price_…"}}`.',
    )
    trial_days: Annotated[int, Field(ge=0, le=730)] = Field(
        default=0, description="How many days a first subscription is free of charge."
    )
    grace_days: Annotated[int, Field(ge=0, le=90)] = Field(
        default=7,
        description="How many days a tier stays after a payment failed, or when nothing is heard"
        " of a subscription whose period is over.",
    )
    api_url: str = Field(default="https://api.stripe.com", description="Address of Stripe's API.")

    @model_validator(mode="after")
    def _require_all(self) -> "BillingSettings":
        needed = (self.secret_key, self.webhook_secret, self.prices)
        if self.enabled and not all(needed):
            raise ValueError("billing needs secret_key, webhook_secret and prices")
        return self


class Settings(BaseSettings):
    """Everything that can be set, read once where a program begins."""

    model_config = SettingsConfigDict(
        env_prefix="SEAWALL_",
        env_nested_delimiter="__",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
    )

    home: Path = Field(
        default_factory=lambda: user_data_path("seawall", appauthor=False),
        description="Data folder: the embedded server's files, secrets and logs.",
    )
    database: DatabaseSettings = Field(default_factory=DatabaseSettings)
    audit: AuditSettings = Field(default_factory=AuditSettings)
    encryption: EncryptionSettings = Field(default_factory=EncryptionSettings)
    cache: CacheSettings = Field(default_factory=CacheSettings)
    retention: RetentionSettings = Field(default_factory=RetentionSettings)
    archive: ArchiveSettings = Field(default_factory=ArchiveSettings)
    worker: WorkerSettings = Field(default_factory=WorkerSettings)
    mail: MailSettings = Field(default_factory=MailSettings)
    identity: IdentitySettings = Field(default_factory=IdentitySettings)
    api: ApiSettings = Field(default_factory=ApiSettings)
    billing: BillingSettings = Field(default_factory=BillingSettings)


def load_settings() -> Settings:
    """Read the settings from the environment.

    Raises:
        InvalidError: a variable is set to what it cannot be.
    """
    try:
        return Settings()
    except ValidationError as error:
        # An address may hold a password, so no value is repeated.
        wrong = [f"{_variable(each['loc'])}: {each['msg']}" for each in error.errors()]
        raise InvalidError(f"A setting is wrong: {'; '.join(wrong)}.") from None
    except SettingsError as error:
        raise InvalidError(f"The settings cannot be read: {error}.") from None


def _variable(location: tuple[int | str, ...]) -> str:
    return "SEAWALL_" + "__".join(str(each).upper() for each in location)
