"""The log: one JSON object a line on stderr, made only of fields and values that cannot carry a clinical word.

Every field needs an entry in `FIELDS` whose pattern its value fits; all else is dropped and counted. Of an exception
only the type, our code, and the places (module and line) are written, never its text: libraries put what they choke on
into theirs. What other libraries log themselves is reduced to the place it came from.
"""

import logging
import re
import sys
import threading
import traceback
from collections.abc import Callable, Mapping, MutableMapping
from types import TracebackType
from typing import Any, TextIO

import structlog

_CODE = re.compile(r"[a-z][a-z0-9_.-]{0,59}")
_NUMBER = re.compile(r"-?[0-9]{1,19}(\.[0-9]{1,9})?")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT[0-9:.]{8,15}(Z|\+00:00)")
_MATRIX_ID = re.compile(r"@[a-z0-9._=/+-]{1,200}:[A-Za-z0-9.:\[\]-]{1,200}")
_OPAQUE = re.compile(r"[!$]?[A-Za-z0-9_~+/=-]{6,90}(:[A-Za-z0-9.:\[\]-]{1,200})?")
_PLACE = re.compile(r"[A-Za-z0-9_.<>]{1,120}(:\d{1,6})?")
_TYPE = re.compile(r"[A-Za-z_][A-Za-z0-9_.]{0,99}")

FIELDS: Mapping[str, re.Pattern[str]] = {
    "level": _CODE,
    "timestamp": _TIME,
    "logger": _PLACE,
    # whose, which
    "case": re.compile(r"C-\d{4}-\d{1,8}"),
    "user": _MATRIX_ID,
    "by": _MATRIX_ID,
    "room": _OPAQUE,
    "event_id": _OPAQUE,
    "device": re.compile(r"[A-Za-z0-9_+/=-]{1,80}"),
    "reference": _OPAQUE,
    "server": re.compile(r"[A-Za-z0-9.:\[\]-]{1,230}"),
    "line": _CODE,
    # what
    "code": _CODE,
    "kind": _CODE,
    "verb": _CODE,
    "state": _CODE,
    "step": _CODE,
    "reason": _CODE,
    "outcome": _CODE,
    "process": _CODE,
    "signal": re.compile(r"[A-Z0-9]{1,12}"),
    "version": re.compile(r"[0-9A-Za-z.+]{1,40}"),
    # how much
    "number": _NUMBER,
    "count": _NUMBER,
    "total": _NUMBER,
    "attempt": _NUMBER,
    "status": _NUMBER,
    "bytes": _NUMBER,
    "seconds": _NUMBER,
    "port": _NUMBER,
    "pid": _NUMBER,
    "dropped": _NUMBER,
    # what went wrong
    "error": _TYPE,
    "error_code": _CODE,
    "places": _PLACE,
}
"""Field, and what its value (each value of a list) must look like as text."""

_MOST_PLACES = 12
_UNNAMED = "unnamed"

Event = MutableMapping[str, Any]


class AllowList:
    """The last step before writing: lets known fields with fitting values through, drops and counts the rest."""

    def __init__(self, on_drop: Callable[[], None] = lambda: None) -> None:
        self._on_drop = on_drop

    def __call__(self, _logger: object, _method: str, event: Event) -> Event:
        kept: Event = {"event": _named(event.pop("event", None))}
        dropped = 0
        for field, value in {**event, **_exception(event)}.items():
            if field == "exc_info" or (field == "error" and isinstance(value, BaseException)):
                continue
            if value is None:
                continue
            if field in FIELDS and _fits(FIELDS[field], value):
                kept[field] = value
            else:
                dropped += 1
                self._on_drop()
        if dropped:
            kept["dropped"] = dropped
        return kept


def _named(event: object) -> str:
    return event if isinstance(event, str) and _CODE.fullmatch(event) else _UNNAMED


def _fits(pattern: re.Pattern[str], value: object) -> bool:
    if isinstance(value, bool):
        return True
    if isinstance(value, list | tuple):
        return all(isinstance(each, str) and pattern.fullmatch(each) for each in value)
    if isinstance(value, float):
        value = f"{value:.6f}"
    return isinstance(value, str | int) and pattern.fullmatch(str(value)) is not None


def _exception(event: Event) -> dict[str, object]:
    """Describe the exception in `error` or `exc_info` by type, code and places."""
    found = event.get("error")
    if not isinstance(found, BaseException):
        info = event.get("exc_info")
        if info is True:
            info = sys.exc_info()
        found = info[1] if isinstance(info, tuple) else info
    return described(found) if isinstance(found, BaseException) else {}


def described(error: BaseException) -> dict[str, object]:
    """Return what may be said of an exception: never its text, never a local variable."""
    while isinstance(error, BaseExceptionGroup) and error.exceptions:
        error = error.exceptions[0]
    frames = list(traceback.walk_tb(error.__traceback__))[-_MOST_PLACES:]
    said: dict[str, object] = {
        "error": type(error).__name__,
        "places": [f"{frame.f_globals.get('__name__', '?')}:{line}" for frame, line in frames],
    }
    code = getattr(error, "code", None)
    if isinstance(code, str):
        said["error_code"] = code
    return said


class _Bridge(logging.Handler):
    """Takes what libraries log: level, logger and place go on, the message does not."""

    def emit(self, record: logging.LogRecord) -> None:
        log = structlog.get_logger(record.name)
        write = log.error if record.levelno >= logging.ERROR else log.warning
        write("library", places=[f"{record.module}:{record.lineno}"], exc_info=record.exc_info or None)


def _add_logger(logger: object, _method: str, event: Event) -> Event:
    event.setdefault("logger", getattr(logger, "name", None))
    return event


def configure_logs(
    *, stream: TextIO | None = None, level: int = logging.INFO, on_drop: Callable[[], None] = lambda: None
) -> None:
    """Set up the log of this process, of its libraries, and of exceptions that nobody caught."""
    structlog.configure(
        processors=[
            structlog.stdlib.add_log_level,
            _add_logger,
            structlog.contextvars.merge_contextvars,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            AllowList(on_drop),
            structlog.processors.JSONRenderer(ensure_ascii=True),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=_Lines(stream or sys.stderr),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    for handler in list(root.handlers):
        root.removeHandler(handler)
    root.addHandler(_Bridge())
    root.setLevel(max(level, logging.WARNING))
    logging.captureWarnings(True)
    sys.excepthook = _uncaught
    threading.excepthook = lambda args: _uncaught(args.exc_type, args.exc_value, args.exc_traceback)
    sys.unraisablehook = lambda args: _uncaught(args.exc_type, args.exc_value, args.exc_traceback)


def _uncaught(_kind: type[BaseException], error: BaseException | None, _trace: TracebackType | None) -> None:
    if isinstance(error, KeyboardInterrupt):
        return
    structlog.get_logger("uncaught").critical("uncaught_exception", error=error)


class _Lines:
    """Makes the writer of each logger: one line a call, one lock for all."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def __call__(self, name: str = "consilium", *_: object) -> "_Line":
        return _Line(name, self._stream, self._lock)


class _Line:
    def __init__(self, name: str, stream: TextIO, lock: threading.Lock) -> None:
        self.name = name
        self._stream = stream
        self._lock = lock

    def msg(self, text: str) -> None:
        with self._lock:
            self._stream.write(text + "\n")
            self._stream.flush()

    debug = info = warning = error = critical = msg
