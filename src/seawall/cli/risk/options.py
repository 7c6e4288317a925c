"""What several commands of `seawall risk` take."""

from typing import Annotated

import typer

Name = Annotated[str, typer.Argument(metavar="NAME", help="The portfolio's name.")]

RiskFree = Annotated[
    float, typer.Option(help="A year's rate that ratios are in excess of: 0.04 for 4 %.")
]
Trials = Annotated[
    int, typer.Option(help="Strategies of which this is the best, for the deflated Sharpe.")
]
MaxAge = Annotated[
    float, typer.Option(metavar="DAYS", help="After how long a price counts as stale.")
]
Method = Annotated[
    str,
    typer.Option(
        metavar="historical|gaussian|cornish-fisher|filtered|filtered-ewma|copula",
        help="How the value at risk as asked is estimated.",
    ),
]
Horizon = Annotated[int, typer.Option(metavar="DAYS", help="Over how many days it is.")]
Everything = Annotated[bool, typer.Option("--all", help="Show every figure, and how sure each is.")]
