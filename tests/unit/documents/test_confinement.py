"""What a child cannot do once its walls stand, tried in a child."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bot.adapters.documents import confinement

_ROOT = Path(__file__).parents[3]
_TRY = """
import json, os, pathlib, socket, sys
sys.path.insert(0, sys.argv[1])
from bot.adapters.documents.confinement import confine
from bot.adapters.documents.limits import Limits
layers = confine(Limits(), pathlib.Path(sys.argv[1]) / "bot")
done = []
def attempt(name, act):
    try:
        act()
    except OSError:
        return
    done.append(name)
attempt("socket", lambda: socket.socket())
attempt("programme", lambda: os.posix_spawn("/bin/true", ["true"], {}))
attempt("process", lambda: os.fork() or os._exit(0))
attempt("signal", lambda: os.kill(os.getppid(), 0))
attempt("read", lambda: open(sys.argv[2]).close())
attempt("write", lambda: open(sys.argv[2] + ".new", "w").close())
attempt("secrets", lambda: open(f"/proc/{os.getppid()}/environ", "rb").close())
attempt("large file", lambda: os.ftruncate(os.memfd_create("x"), Limits().written + 1))
attempt("memory file", lambda: os.close(os.memfd_create("x")))
print(json.dumps({"layers": layers, "done": done}))
"""


def test_a_child_can_only_compute(tmp_path: Path) -> None:
    """No socket, no programme, no process, no signal, no file of anybody, each as far as the kernel has the wall."""
    secret = tmp_path / "secret"
    secret.write_text("of another case")
    command = [sys.executable, "-I", "-c", _TRY, str(_ROOT), str(secret)]
    answer = json.loads(subprocess.run(command, check=True, capture_output=True, timeout=60).stdout)
    possible = set(answer["done"])
    assert "memory file" in possible
    assert "large file" not in possible
    if "seccomp" in answer["layers"]:
        assert not possible & {"socket", "programme", "process", "signal"}
    if "landlock" in answer["layers"]:
        assert not possible & {"read", "write", "secrets"}
    assert answer["layers"][0] == "limits"


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_every_known_processor_has_its_own_numbers(machine: str) -> None:
    """A number from the other table would forbid something harmless and let through what it meant."""
    calls = confinement._FORBIDDEN[machine]
    assert len(set(calls)) == len(calls)
    assert confinement._CLONE[machine] not in calls
    assert set(confinement._PIDFD_AND_IO_URING) <= set(calls)
