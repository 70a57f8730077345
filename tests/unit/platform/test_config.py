"""What the configuration accepts, and how it says what is wrong."""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel, ValidationError

from bot.config import PLACEHOLDER, Config, Process, load_config
from bot.domain.errors import ConfigError
from bot.secret_files import read_secret

PROJECT = Path(__file__).parents[3]
EXAMPLE = (PROJECT / "config.example.yaml").read_text(encoding="utf-8")
SECRET = "hunter2-the-secret"


def minimal() -> dict[str, Any]:
    """Return the smallest configuration that loads."""
    return {
        "homeserver": {
            "url": "https://matrix.hospital.example",
            "user_id": "@consilium:hospital.example",
            "sign_in": {"password_file": "secrets/matrix-password"},
        },
        "data_dir": "data",
        "master_key_file": "secrets/master.key",
        "hospital": {"name": "CHU", "emergency_phone": "+32 2 000 00 00"},
        "lines": {"enabled": ["rhythmology"]},
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with every secret that a configuration may name."""
    (tmp_path / "secrets").mkdir()
    for name in ("matrix-password", "matrix-token", "master.key", "mail-password", "admin-token"):
        path = tmp_path / "secrets" / name
        path.touch(mode=0o600)
        path.write_text(SECRET + "\n", encoding="utf-8")
    return tmp_path


def load(folder: Path, content: dict[str, Any] | str, process: Process = Process.BOT) -> Config:
    """Write a configuration and load it."""
    path = folder / "config.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content), encoding="utf-8")
    return load_config(path, process=process)


def refusal(folder: Path, content: dict[str, Any] | str, process: Process = Process.BOT) -> list[str]:
    """Load a wrong configuration and return the lines that say so."""
    with pytest.raises(ConfigError) as error:
        load(folder, content, process)
    return str(error.value).splitlines()


def changed(where: str, value: object) -> dict[str, Any]:
    """Return the smallest configuration with one key changed."""
    content = minimal()
    section = content
    *parents, last = where.split(".")
    for parent in parents:
        section = section.setdefault(parent, {})
    section[last] = value
    return content


def test_the_smallest_configuration_gets_the_defaults(folder: Path) -> None:
    """What is left out is safe and usual."""
    config = load(folder, minimal())

    assert config.homeserver.allowed_homeservers == ("hospital.example",)
    assert config.homeserver.server_name == "hospital.example"
    assert config.languages.default == "fr"
    assert config.expiry.grace == timedelta(hours=24)
    assert config.expiry.warnings == (timedelta(hours=72), timedelta(hours=24))
    assert config.enrolment.secret == "desk"
    assert (config.mail, config.eraser) == (None, None)
    assert config.http.host == "127.0.0.1"


def test_the_example_loads_once_the_placeholders_are_filled(folder: Path) -> None:
    """An admin who does what the file says gets a bot that starts."""
    config = load(folder, EXAMPLE.replace(PLACEHOLDER, "hospital.example"))

    assert config.homeserver.user_id == "@consilium:hospital.example"
    assert config.mail is not None


def test_the_example_as_it_is_names_every_placeholder(folder: Path) -> None:
    """Nobody starts with somebody else's values."""
    lines = refusal(folder, EXAMPLE)

    assert [line.partition(":")[0] for line in lines] == [
        "homeserver.url",
        "homeserver.user_id",
        "hospital.name",
        "hospital.emergency_phone",
        "mail.host",
        "mail.sender",
    ]
    assert {line.partition(": ")[2] for line in lines} == {"still the placeholder CHANGE-ME; put your own"}


def commented_out(text: str) -> str:
    """Return the example with every commented key switched on, as far as two ways do not exclude each other."""
    switched_on = re.sub(r"(?m)^(\s*)# ( *[a-z_]+:)", r"\1\2", text)
    return re.sub(r"(?m)^\s*(token_file|device_id): .*\n", "", switched_on)


def test_the_example_still_loads_with_every_optional_key_switched_on(folder: Path) -> None:
    """The commented lines are right too, and show the values that hold without them."""
    text = commented_out(EXAMPLE.replace(PLACEHOLDER, "hospital.example"))

    full, bare = load(folder, text), load(folder, EXAMPLE.replace(PLACEHOLDER, "hospital.example"))

    assert full.eraser is not None
    assert (full.expiry, full.limits, full.http, full.clock) == (
        bare.expiry,
        bare.limits,
        bare.http,
        bare.clock,
    )


def keys(model: type[BaseModel]) -> Iterator[str]:
    """Return every key of the configuration."""
    for name, field in model.model_fields.items():
        options = [field.annotation, *getattr(field.annotation, "__args__", ())]
        inner = [option for option in options if isinstance(option, type) and issubclass(option, BaseModel)]
        yield name
        for section in inner:
            yield from (f"{name}.{key}" for key in keys(section))


@pytest.mark.parametrize("key", list(keys(Config)))
def test_every_key_is_in_the_example_and_in_the_docs(key: str) -> None:
    """A key that nobody can find does not exist."""
    described = (PROJECT / "docs" / "configuration.md").read_text(encoding="utf-8")

    assert re.search(rf"(?m)^[ #]*{key.rpartition('.')[2]}:", EXAMPLE)
    assert f"`{key}`" in described


MISTAKES: list[tuple[str, object, str]] = [
    ("homeserver.url", "http://matrix.hospital.example", "plain http is for this machine only"),
    ("homeserver.url", "matrix.hospital.example", "give an address such as"),
    ("homeserver.user_id", "consilium", "write it like"),
    ("homeserver.user_idd", "x", "no such key; did you mean user_id?"),
    ("homeserver.sign_in", {}, "either password_file, or token_file"),
    (
        "homeserver.sign_in",
        {"password_file": "secrets/matrix-password", "token_file": "secrets/matrix-token"},
        "either",
    ),
    ("homeserver.sign_in", {"token_file": "secrets/matrix-token"}, "give its device_id"),
    ("homeserver.sign_in.password_file", "secrets/none", "there is no file"),
    ("homeserver.room_version", "10", "'11' or '12'"),
    ("homeserver.allowed_homeservers", [], "give at least one"),
    ("hospital.emergency_phone", "", "at least 1 character"),
    ("languages.default", "it", "'fr', 'nl', 'de' or 'en'"),
    ("lines.enabled", [], "give at least one"),
    ("lines.enabled", ["Rhythmology!"], "write it like"),
    ("expiry.grace", 24, "a number with a unit"),
    ("expiry.grace", "24", "a number with a unit"),
    ("expiry.grace", "-1h", "a number with a unit"),
    ("expiry.warnings", ["24h", "72h"], "the earliest (longest) first"),
    ("expiry.warnings", [], "give at least one"),
    ("expiry.unacknowledged", {"erase_rooms": "1d"}, "must come before"),
    ("limits.max_document_mb", 0, "greater than or equal to 1"),
    ("limits.commands_per_minute", "many", "valid integer"),
    ("http.port", 70000, "less than or equal to 65535"),
    ("enrolment.secret", "post", "'chat' or 'desk'"),
    ("mail", {"host": "mail.hospital.example", "sender": "x"}, "write it like"),
    ("mail", {"host": "h", "sender": "a@b.example", "username": "x"}, "belong together"),
    ("eraser", {"folder": "e"}, "is missing"),
    ("http", 9180, "must be a section"),
    ("data_dirr", "x", "no such key; did you mean data_dir?"),
    ("clock.homeserver_skew", None, "a number with a unit"),
]


@pytest.mark.parametrize("where, value, sentence", MISTAKES)
def test_a_mistake_is_one_line_with_its_key(folder: Path, where: str, value: object, sentence: str) -> None:
    """The operator reads which key, and what to do."""
    (line,) = refusal(folder, changed(where, value))

    assert line.startswith(where)
    assert sentence in line


def test_every_mistake_is_told_at_once(folder: Path) -> None:
    """Nobody wants to start ten times to find ten mistakes."""
    content = minimal()
    content["hospital"] = {}
    content["colour"] = "blue"
    content["http"] = {"port": 0}

    lines = refusal(folder, content)

    assert [line.partition(":")[0] for line in lines] == [
        "hospital.name",
        "hospital.emergency_phone",
        "http.port",
        "colour",
    ]


@pytest.mark.parametrize(
    "where",
    ["mail.password", "homeserver.password", "master_key", "homeserver.user_id", "limits.max_document_mb", "http.host"],
)
def test_a_value_is_never_repeated(folder: Path, where: str) -> None:
    """A secret that was pasted into the wrong place is not printed."""
    content = changed(where, SECRET + " \n")

    assert SECRET not in "\n".join(refusal(folder, content))


@pytest.mark.parametrize(
    "text, sentence",
    [
        (f"a: [{SECRET}", "not valid YAML"),
        (f"password: *{SECRET}", "not valid YAML"),
        (f"password: !{SECRET} x", "not valid YAML"),
        (f"{SECRET}", "must be a mapping"),
        ("", "must be a mapping"),
        (f"a: 1\n\x07{SECRET}: 2", "is not YAML"),
    ],
)
def test_what_is_no_yaml_is_one_line_without_its_text(folder: Path, text: str, sentence: str) -> None:
    """Line and column help; the text could be a secret."""
    (line,) = refusal(folder, text)

    assert sentence in line
    assert SECRET not in line


def test_a_key_that_stands_twice_is_a_mistake(folder: Path) -> None:
    """YAML would silently take the second."""
    (line,) = refusal(folder, "data_dir: a\ndata_dir: b\n")

    assert line.endswith("line 2, column 1: a key stands twice")


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    """No traceback for a wrong path."""
    with pytest.raises(ConfigError, match=r"cannot be read"):
        load_config(tmp_path / "none.yaml")


def test_a_file_in_another_encoding_is_one_line(tmp_path: Path) -> None:
    """Latin-1 from an old editor."""
    (tmp_path / "config.yaml").write_bytes("hospital: Hôpital".encode("latin-1"))

    with pytest.raises(ConfigError, match="not UTF-8"):
        load_config(tmp_path / "config.yaml")


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_a_secret_that_others_may_read_is_refused(folder: Path, mode: int) -> None:
    """The line says what to do."""
    (folder / "secrets" / "matrix-password").chmod(mode)

    (line,) = refusal(folder, minimal())

    assert line.startswith("homeserver.sign_in.password_file: others may read")
    assert "chmod 600" in line


def test_an_empty_secret_is_refused(folder: Path) -> None:
    """An empty password is a forgotten one."""
    (folder / "secrets" / "master.key").write_bytes(b"")

    (line,) = refusal(folder, minimal())

    assert line.startswith("master_key_file: ")
    assert line.endswith("is empty")


def test_relative_paths_are_relative_to_the_file(folder: Path) -> None:
    """Wherever the program is started from."""
    config = load(folder, minimal())

    assert config.data_dir == folder / "data"
    assert config.master_key_file == folder / "secrets" / "master.key"


def test_absolute_paths_stay(folder: Path) -> None:
    """As on a hospital's host."""
    assert load(folder, changed("data_dir", "/var/lib/consilium")).data_dir == Path("/var/lib/consilium")


def test_a_credential_of_systemd_is_found(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The service manager hands out the master key."""
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder / "secrets"))
    (folder / "secrets" / "master.key").chmod(0o440)

    config = load(folder, changed("master_key_file", "credential:master.key"))

    assert config.master_key_file == folder / "secrets" / "master.key"


def test_a_credential_without_systemd_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Started by hand, there are none."""
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)

    (line,) = refusal(folder, changed("master_key_file", "credential:master.key"))

    assert line.startswith("master_key_file: there are no systemd credentials")


def with_eraser() -> dict[str, Any]:
    """Return a configuration with an eraser."""
    return changed("eraser", {"folder": "eraser", "admin_token_file": "secrets/admin-token"})


def test_the_bot_does_not_look_at_the_admin_token(folder: Path) -> None:
    """It need not, and should not be able to, read it."""
    (folder / "secrets" / "admin-token").unlink()

    config = load(folder, with_eraser())

    assert config.eraser is not None


def test_the_eraser_does_not_look_at_the_bot_s_secrets(folder: Path) -> None:
    """Two accounts, two sets of secrets."""
    for name in ("matrix-password", "master.key"):
        (folder / "secrets" / name).unlink()

    config = load(folder, with_eraser(), Process.ERASER)

    assert config.eraser is not None
    assert read_secret(config.eraser.admin_token_file) == SECRET


def test_the_eraser_s_token_must_be_private_for_the_eraser(folder: Path) -> None:
    """The one process that reads it checks it."""
    (folder / "secrets" / "admin-token").chmod(0o644)

    (line,) = refusal(folder, with_eraser(), Process.ERASER)

    assert line.startswith("eraser.admin_token_file: others may read")


@pytest.mark.parametrize(
    "text, span",
    [
        ("90s", timedelta(seconds=90)),
        ("15m", timedelta(minutes=15)),
        ("72h", timedelta(hours=72)),
        ("30 d", timedelta(days=30)),
        ("2w", timedelta(weeks=2)),
    ],
)
def test_durations_are_text_with_a_unit(folder: Path, text: str, span: timedelta) -> None:
    """Nobody has to guess whether 24 means hours."""
    assert load(folder, changed("expiry.grace", text)).expiry.grace == span


def test_a_configuration_does_not_change(folder: Path) -> None:
    """Frozen from the start to the end of a process."""
    config = load(folder, minimal())

    with pytest.raises(ValidationError):
        config.data_dir = Path("/elsewhere")  # type: ignore[misc]  # that is what is tested


def test_a_configuration_holds_no_secret(folder: Path) -> None:
    """Only paths: it may be printed."""
    content = with_eraser()
    content["mail"] = {
        "host": "mail.hospital.example",
        "sender": "a@b.example",
        "username": "x",
        "password_file": "secrets/mail-password",
    }

    assert SECRET not in repr(load(folder, content))


def test_a_secret_is_the_first_line_of_its_file(folder: Path) -> None:
    """Editors add a newline."""
    assert read_secret(folder / "secrets" / "mail-password") == SECRET


def test_a_secret_is_checked_again_when_it_is_read(folder: Path) -> None:
    """It may have changed since the start."""
    (folder / "secrets" / "mail-password").chmod(0o644)

    with pytest.raises(ConfigError, match="chmod 600"):
        read_secret(folder / "secrets" / "mail-password")
