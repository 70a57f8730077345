"""What every group of tables works with: the open transaction, the keys of the cases, the time."""

from bot.adapters.store.database import Transaction
from bot.domain.errors import Refusal
from bot.domain.ids import CaseId
from bot.services.ports import Clock, Vault


class Tables:
    """A group of tables inside one transaction."""

    def __init__(self, transaction: Transaction, *, vault: Vault, clock: Clock) -> None:
        self._transaction = transaction
        self._vault = vault
        self._clock = clock


def seal(vault: Vault, case_id: CaseId | None, clear: bytes, *, context: str) -> bytes:
    """Encrypt under the case's key what belongs to a case; the rest has the key of the database alone.

    Raises:
        Refusal: `case_erased`.
    """
    return clear if case_id is None else vault.seal(case_id, clear, context=context)


def unseal(vault: Vault, case_id: CaseId | None, body: bytes, *, context: str) -> bytes | None:
    """Return what `seal` was given, or None if the case's key is gone: then nobody can read it any more."""
    if case_id is None:
        return body
    try:
        return vault.open(case_id, body, context=context)
    except Refusal:
        return None
