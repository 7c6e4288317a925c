"""What several commands of `seawall risk` take."""

from typing import Annotated

import typer

Name = Annotated[str, typer.Argument(metavar="NAME", help="The portfolio's name.")]
