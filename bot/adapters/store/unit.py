"""One open transaction: everything that a step reads and writes."""

from contextlib import AbstractAsyncContextManager

from bot.adapters.store.case_tables import CaseTables
from bot.adapters.store.ledger_tables import LedgerTables
from bot.adapters.store.people_tables import PeopleTables
from bot.adapters.store.queue_tables import QueueTables


class SqlUnit(CaseTables, PeopleTables, LedgerTables, QueueTables):
    """Fills the port `Unit`; each group of tables has a module of its own."""

    def savepoint(self) -> AbstractAsyncContextManager[None]:
        return self._transaction.savepoint()
