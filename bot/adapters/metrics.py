"""Numbers for the operator, in Prometheus' text format: a fixed list, no label that could name a person or a case."""

import re
from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

CONTENT_TYPE = CONTENT_TYPE_LATEST

COUNTERS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "commands": ("Commands that were carried out", ("verb",)),
    "refusals": ("Commands that were refused", ("code",)),
    "handling_failed": ("Messages that the program failed to handle", ()),
    "thrown_out": ("Times that somebody removed the bot from a case's room", ()),
    "invitations_refused": ("Invitations that the bot declined", ()),
    "unexpected_members": ("People found in a case room whom the bot had not invited", ()),
    "effects_failed": ("Tries of the outbox that failed", ("kind", "code")),
    "effects_given_up": ("Effects that the outbox gave up", ("kind", "code")),
    "sweeps": ("Sweeps over due times", ("outcome",)),
    "matrix_contained": ("Events that were put aside because nobody will ever understand them", ("what",)),
    "matrix_forged_sender": ("Events whose sender is not who encrypted them", ()),
    "matrix_gap_refused": ("Gaps in a timeline that the homeserver did not fill", ()),
    "matrix_key_claim_failed": ("One-time keys that the homeserver did not hand out", ()),
    "matrix_key_withheld": ("Keys that a sender withheld from the bot", ()),
    "matrix_other_device": ("Devices of the bot's account that are not the bot's", ()),
    "matrix_share_failed": ("Keys that could not be handed to a device", ()),
    "matrix_verification_declined": ("Requests to verify the bot that were declined", ()),
    "matrix_sync_failed": ("Syncs that failed", ("code",)),
    "matrix_undecryptable": ("Events that arrived without their key", ()),
    "matrix_unwedged": ("Olm sessions that were made anew", ()),
    "log_fields_dropped": ("Fields that the log refused", ()),
    "unknown": ("Counts under a name or label that is not in the list", ()),
}
"""Name, what it counts, and its labels."""

_LABEL_VALUE = re.compile(r"[a-z][a-z0-9_.-]{0,39}")
"""A code of ours: no Matrix id, no case number, no text fits."""


class Metrics:
    """One registry of its own: two bots in one process do not share numbers."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._counters = {
            name: Counter(f"consilium_{name}", text, labels, registry=self._registry)
            for name, (text, labels) in COUNTERS.items()
        }

    def count(self, name: str, **labels: str) -> None:
        """Add one; what is not in the list is counted as `unknown` and never shown."""
        known = COUNTERS.get(name)
        if known is None or set(labels) != set(known[1]) or not all(map(_LABEL_VALUE.fullmatch, labels.values())):
            self._counters["unknown"].inc()
        elif labels:
            self._counters[name].labels(**labels).inc()
        else:
            self._counters[name].inc()

    def watch(self, name: str, text: str, value: Callable[[], float]) -> None:
        """Show a number that is asked for at each visit, such as a queue's length."""
        Gauge(f"consilium_{name}", text, registry=self._registry).set_function(value)

    def text(self) -> bytes:
        """Return everything as `CONTENT_TYPE`."""
        return generate_latest(self._registry)
