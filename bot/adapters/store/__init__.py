"""The database: one encrypted SQLite file, in which a step is written whole or not at all."""

from bot.adapters.store.store import SqlStore

__all__ = ["SqlStore"]
