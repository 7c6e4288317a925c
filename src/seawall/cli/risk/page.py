"""Where the page of `seawall risk report --html` goes."""

from pathlib import Path

import typer


def write_page(path: Path, page: str) -> None:
    """Write a page whole or not at all, over one that is there.

    Raises:
        UnavailableError: it cannot be written there.
    """
    import os
    import tempfile

    from seawall.core.errors import UnavailableError

    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(page)
            Path(name).chmod(0o600)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise UnavailableError(
            f"The page cannot be written to {path}: {error.strerror or error}.",
            hint="Choose another file: --html FILE.",
        ) from error
    typer.echo(f"Wrote {path}", err=True)
