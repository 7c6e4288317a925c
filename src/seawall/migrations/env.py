"""Run the migrations on the connection that `seawall.db.migrate` hands over."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=context.config.attributes["metadata"],
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
