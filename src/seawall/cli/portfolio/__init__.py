"""`seawall portfolio`: one file for each command, or for those that belong together."""

import typer

from seawall.cli.portfolio import imports, portfolios, show, transactions

app = typer.Typer(help="Portfolios: transactions in, holdings out.", no_args_is_help=True)
app.command("create")(portfolios.create)
app.command("list")(portfolios.list_)
app.command("change")(portfolios.change)
app.command("delete")(portfolios.delete)
app.command("import")(imports.import_)
app.command("imports")(imports.imports)
app.command("transactions")(transactions.transactions)
app.command("void")(transactions.void)
app.command("correct")(transactions.correct)
app.command("show")(show.show)
