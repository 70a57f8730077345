"""Numbers for the operator, in Prometheus' text format: a fixed list, no label that could name a person or a case."""

import re
from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

CONTENT_TYPE = CONTENT_TYPE_LATEST

COUNTERS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "sync_batches": ("Batches of events taken from the homeserver", ()),
    "events_taken": ("Events taken from the homeserver", ("kind",)),
    "events_contained": ("Events that were put aside because they could not be handled", ("code",)),
    "undecryptable": ("Events that arrived without their key", ()),
    "commands": ("Commands that were carried out", ("verb",)),
    "refusals": ("Commands that were refused", ("code",)),
    "effects_done": ("Effects of the outbox that were carried out", ("kind",)),
    "effects_failed": ("Tries of the outbox that failed", ("kind", "code")),
    "effects_given_up": ("Effects of the outbox that were given up", ("kind", "code")),
    "handling_failed": ("Arrivals that a fault of the program kept from being handled", ()),
    "unexpected_members": ("People who were in a case's room and did not belong there", ()),
    "invitations_refused": ("Invitations from homeservers that are not allowed", ()),
    "devices_left_out": ("Devices that did not get a key", ("reason",)),
    "mails_sent": ("Mails handed to the hospital's server", ()),
    "documents_taken": ("Documents taken into a case", ("kind",)),
    "documents_refused": ("Documents that were refused", ("code",)),
    "steps": ("Steps of cases", ("to",)),
    "erasures": ("Cases erased", ("outcome",)),
    "sweeps": ("Sweeps over due times", ("outcome",)),
    "log_fields_dropped": ("Fields that the log refused", ()),
    "unknown": ("Counts under a name or label that is not in the list", ()),
}
"""Name, what it counts, and its labels."""

_LABEL_VALUE = re.compile(r"[a-z][a-z0-9_.]{0,39}")
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
