"""The child that looks into one file: confined first, told what to do second, gone afterwards.

Its standard input is a socket: it says which walls stand around it, gets one order with three descriptors (the file, a
place for pictures, a place for the clean copy), answers, and ends.
"""

import json
import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

from bot.adapters.documents.confinement import confine
from bot.adapters.documents.examination import examine
from bot.adapters.documents.job import Job
from bot.adapters.documents.limits import Limits
from bot.adapters.documents.reply import packed, refusal
from bot.domain.documents import RefusalCode, Refused

_ORDER_BYTES = 65_536
_CODE = Path(__file__).resolve().parents[2]


def main() -> None:
    """Run the child; its exit status is 0 if it could answer. It prints nothing, whatever happens."""
    status = 1
    try:
        limits = Limits(**json.loads(sys.argv[1]))
        parent = socket.socket(fileno=os.dup(0))
        layers = confine(limits, _CODE)
        parent.sendall(json.dumps({"layers": layers}).encode() + b"\n")
        order, descriptors, _, _ = socket.recv_fds(parent, _ORDER_BYTES, 3)
        if order:
            parent.sendall(_answer(json.loads(order), descriptors, limits))
        status = 0
    except BaseException:  # noqa: BLE001 - the last word of a child that holds patient data is a number, never a trace
        status = 1
    os._exit(status)


def _answer(order: Mapping[str, str], descriptors: list[int], limits: Limits) -> bytes:
    """Do the work; every failure becomes a code."""
    source, pictures, clean = descriptors
    try:
        with os.fdopen(source, "rb") as file, os.fdopen(clean, "w+b") as copy:
            job = Job(
                source=file,
                size=os.fstat(source).st_size,
                clean=copy,
                strip=order["identity"] == "strip",
                salt=bytes.fromhex(order["salt"]),
                limits=limits,
            )
            found = examine(job)
            copy.flush()
            return packed(found, pictures)
    except Refused as refused:
        return refusal(refused.code)
    except MemoryError:
        return refusal(RefusalCode.MEMORY_LIMIT)
    except RecursionError:
        return refusal(RefusalCode.BOMB)
    except BaseException:  # noqa: BLE001 - decoders written in Rust and C raise what is no Exception
        return refusal(RefusalCode.CRASHED)
