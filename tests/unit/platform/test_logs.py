"""What the log writes, and what no mistake can make it write."""

import asyncio
import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.adapters.logs import FIELDS, AllowList
from bot.domain.errors import Refusal

CANARY = "Mme Dupont: amylose"


def written(event: str, **fields: object) -> dict[str, Any]:
    """Return what the last step before writing lets through."""
    return dict(AllowList()(None, "info", {"event": event, **fields}))


def raised(error: Exception) -> Exception:
    """Return the error as if it had been raised here."""
    try:
        raise error
    except type(error) as caught:
        return caught


def test_known_fields_with_fitting_values_are_written() -> None:
    """Ids, codes, numbers."""
    fields = {
        "case": "C-2026-0007",
        "user": "@a.dupont:hospital.example",
        "room": "!abcDEF_123:hospital.example",
        "code": "no_session",
        "count": 12,
        "seconds": 0.25,
        "places": ["bot.adapters.vault:12"],
    }

    assert written("taken", **fields) == {"event": "taken", **fields}


@pytest.mark.parametrize("field", sorted(FIELDS))
def test_no_known_field_takes_a_sentence(field: str) -> None:
    """Not even in a list."""
    assert written("taken", **{field: CANARY}) == {"event": "taken", "dropped": 1}
    assert written("taken", **{field: [CANARY]}) == {"event": "taken", "dropped": 1}


@given(
    event=st.text(),
    fields=st.dictionaries(
        st.sampled_from(sorted(FIELDS)) | st.text(min_size=1),
        st.just(CANARY) | st.binary() | st.lists(st.just(CANARY)) | st.dictionaries(st.just(CANARY), st.none()),
    ),
)
def test_nothing_that_is_logged_by_mistake_comes_through(event: str, fields: dict[str, Any]) -> None:
    """Whatever is passed under whatever name."""
    fields.pop("event", None)

    line = json.dumps(dict(AllowList()(None, "info", {"event": f"{event} {CANARY}", **fields})))

    assert "Dupont" not in line
    assert "amylose" not in line


def test_an_unknown_field_is_dropped_and_counted() -> None:
    """The operator sees that something was dropped, and the counter how often."""
    drops: list[None] = []

    said = AllowList(lambda: drops.append(None))(None, "info", {"event": "taken", "text": CANARY, "name": "x"})

    assert said == {"event": "taken", "dropped": 2}
    assert len(drops) == 2


def test_a_sentence_is_no_event() -> None:
    """The event's name is a code too."""
    assert written(f"case of {CANARY}") == {"event": "unnamed"}


def test_an_exception_is_told_by_type_code_and_place() -> None:
    """Never by its text, its values, or a local variable."""
    error = raised(Refusal("no_session", name=CANARY))

    said = written("refused", error=error)

    assert said["error"] == "Refusal"
    assert said["error_code"] == "no_session"
    assert said["places"][0].startswith(f"{__name__}:")
    assert "Dupont" not in json.dumps(said)


def test_the_current_exception_is_told_too() -> None:
    """`log.exception(...)` in an except block."""
    try:
        raise ValueError(CANARY)
    except ValueError:
        said = written("failed", exc_info=True)

    assert said["error"] == "ValueError"
    assert "Dupont" not in json.dumps(said)


def test_of_a_group_the_first_exception_is_told() -> None:
    """Task groups wrap what failed."""
    group = ExceptionGroup(CANARY, [raised(ValueError(CANARY))])

    said = written("failed", error=group)

    assert said["error"] == "ValueError"
    assert "Dupont" not in json.dumps(said)


def test_a_code_that_is_no_code_is_dropped() -> None:
    """Other libraries' exceptions have a `code` as well."""

    class StrangeError(Exception):
        code = CANARY

    said = written("failed", error=raised(StrangeError()))

    assert "error_code" not in said
    assert said["dropped"] == 1


PROGRAM = """
import asyncio, logging, sys, threading, warnings
import structlog
from bot.adapters.logs import configure_logs
configure_logs()
canary = "Mme Dupont: amylose"
structlog.get_logger("bot.test").info("taken", case="C-2026-0007", text=canary)
logging.getLogger("nio.client").error("cannot parse %s", canary)
logging.getLogger("nio.client").info("received %s", canary)
logging.getLogger("nio.client").log(35, "strange level %s", canary)
warnings.warn(canary)
try:
    raise ValueError(canary)
except ValueError:
    logging.getLogger("apscheduler").exception(canary)
def in_thread():
    raise KeyError(canary)
thread = threading.Thread(target=in_thread)
thread.start()
thread.join()
class Unraisable:
    def __del__(self):
        raise LookupError(canary)
Unraisable()
async def main():
    async def forgotten():
        raise OSError(canary)
    task = asyncio.ensure_future(forgotten())
    await asyncio.wait([task])
asyncio.run(main())
raise RuntimeError(canary)
"""


async def test_nothing_clinical_leaves_a_process_whatever_goes_wrong_in_it() -> None:
    """Libraries' messages, warnings, uncaught exceptions of every kind: one JSON object a line, without their text."""
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False
    )

    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert "Dupont" not in done.stderr + done.stdout
    assert [(line["event"], line["level"], line.get("error")) for line in lines] == [
        ("taken", "info", None),
        ("library", "error", None),
        ("library", "warning", None),
        ("library", "warning", None),
        ("library", "error", "ValueError"),
        ("uncaught_exception", "critical", "KeyError"),
        ("uncaught_exception", "critical", "LookupError"),
        ("library", "error", "OSError"),
        ("uncaught_exception", "critical", "RuntimeError"),
    ]
    assert lines[0]["case"] == "C-2026-0007"
    assert lines[0]["logger"] == "bot.test"
    assert lines[1]["logger"] == "nio.client"
    assert lines[4]["places"] == ["__main__:13"]
