"""Read the project's dependencies from requirements/core.in, so that they are listed once."""

from pathlib import Path

from hatchling.metadata.plugin.interface import MetadataHookInterface


class CoreDependencies(MetadataHookInterface):
    """Fill `project.dependencies` at build time."""

    def update(self, metadata: dict[str, object]) -> None:
        """Set the dependencies to the lines of core.in that name one."""
        lines = Path(self.root, "requirements", "core.in").read_text(encoding="utf-8").splitlines()
        metadata["dependencies"] = [line for line in lines if line and line[0] not in "#-"]
