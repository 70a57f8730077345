"""Every exception that crosses a module border.

    ConsiliumError
    ├── Refusal            what a person asked for cannot be done; carries a code and values to be translated
    ├── ConfigError        for the operator: one line
    ├── StartRefused       the program must not start, or must stop: one line and a remedy
    └── ExternalError      something outside did not answer as it should; tried again by the outbox
        └── Permanent      trying again will not help

No exception carries clinical text: codes, numbers and ids only.
"""

from collections.abc import Mapping


class ConsiliumError(Exception):
    """The root of the tree."""


class Refusal(ConsiliumError):
    """What a person asked for is not possible now; `code` names the sentence, `values` fills it."""

    def __init__(self, code: str, **values: object) -> None:
        super().__init__(code)
        self.code = code
        self.values: Mapping[str, object] = values


class ConfigError(ConsiliumError):
    """The configuration is wrong; the text is for the operator, one mistake a line."""


class StartRefused(ConsiliumError):
    """The program cannot start or go on safely; `code` is stable, the text says what to do."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class ExternalError(ConsiliumError):
    """A server, a file system or a child process failed; `code` is stable, `retry_after` in seconds if known."""

    def __init__(self, code: str, *, retry_after: float | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.retry_after = retry_after


class Permanent(ExternalError):
    """An outside failure that will not go away by itself."""
