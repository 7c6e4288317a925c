"""What can be set from outside: environment variables with one prefix, nested by two underscores.

`docs/reference/settings.md` is generated from the descriptions here.
"""

from pathlib import Path
from typing import Annotated

from platformdirs import user_data_path
from pydantic import BaseModel, Field, SecretStr, ValidationError
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


class CacheSettings(BaseModel):
    """The cache."""

    url: SecretStr | None = Field(
        default=None,
        description="Address of a Redis-compatible server; without one the cache is in-process.",
    )


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
    cache: CacheSettings = Field(default_factory=CacheSettings)


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
