"""The page of settings."""

from collections.abc import Iterator

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from scripts.reference.markdown import code, page, table
from seawall.core.settings import Settings

DEFAULTS = {
    "home": "the platform's user data folder, such as `~/.local/share/seawall` on Linux",
    "prices": "none",
}
"""Defaults that differ between machines, or are made, in words."""


def settings_page() -> str:
    """List every environment variable."""
    return page(
        "Settings",
        "Each is an environment variable; there is no configuration file.",
        table(("Variable", "Default", "What it sets"), _settings(Settings, "SEAWALL_")),
    )


def _settings(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, str, str]]:
    for name, field in model.model_fields.items():
        nested = field.annotation
        variable = prefix + name.upper()
        if isinstance(nested, type) and issubclass(nested, BaseModel):
            yield from _settings(nested, f"{variable}__")
        else:
            yield code(variable), _default(name, field), field.description or ""


def _default(name: str, field: FieldInfo) -> str:
    if field.default_factory is not None:
        return DEFAULTS[name]
    return "not set" if field.default is None else code(field.default)
