"""What alembic runs: the steps, on the connection and in the transaction that `up` gives."""

from alembic import context

from serinus.adapters.records_tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    version_table="serinus_schema",
    transactional_ddl=True,  # of SQLite as well, where alembic would not expect it
)
context.run_migrations()
