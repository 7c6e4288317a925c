"""`seawall risk`: one file for each command, or for those that belong together."""

import typer

from seawall.cli.risk import assets, history, limits, optimize, report, scenarios, score, whatif

app = typer.Typer(help="Risk: how much can be lost.", no_args_is_help=True)
app.command("report")(report.report)
app.command("history")(history.history)
app.command("recompute")(history.recompute)
app.command("whatif")(whatif.whatif)
app.command("scenarios")(scenarios.scenarios)
app.command("optimize")(optimize.optimize)
app.command("assets")(assets.assets)
app.command("limits")(limits.limits)
app.command("score")(score.score)
