"""The configuration: one YAML file becomes one frozen, closed model; secrets are named by path, never written in it."""

import difflib
import ipaddress
import os
import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    model_validator,
)

from bot.domain.errors import ConfigError
from bot.secret_files import fault_of_secret, read_secret

__all__ = ["Config", "Process", "load_config", "read_secret"]

PLACEHOLDER = "CHANGE-ME"
CREDENTIAL = "credential:"
"""`credential:NAME` is the file NAME in systemd's credentials folder."""

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


class Process(StrEnum):
    """Which process reads the configuration: only its own secret files must be there and be private."""

    BOT = "bot"
    ERASER = "eraser"


def _duration(text: object) -> object:
    """Turn "72h", "15m", "30d" into a span of time."""
    if isinstance(text, timedelta):
        return text
    found = re.fullmatch(r"(\d{1,6})\s*([smhdw])", text) if isinstance(text, str) else None
    if found is None:
        raise ValueError('write it as a number with a unit, such as "90s", "15m", "72h", "30d" or "2w"')
    return timedelta(seconds=int(found[1]) * _UNITS[found[2]])


def _path(path: object, info: ValidationInfo) -> object:
    """Place a path: relative ones are relative to the configuration file."""
    if not isinstance(path, str) or not path:
        raise ValueError("give a path")
    if path.startswith(CREDENTIAL):
        folder = os.environ.get("CREDENTIALS_DIRECTORY")
        if folder is None:
            raise ValueError("there are no systemd credentials here (CREDENTIALS_DIRECTORY is not set)")
        return Path(folder) / path.removeprefix(CREDENTIAL)
    context: Mapping[str, Any] = info.context or {}
    return Path(context.get("folder", Path())) / path


def _secret_of(process: Process) -> AfterValidator:
    """Check a secret's file if this process is the one that reads it."""

    def check(path: Path, info: ValidationInfo) -> Path:
        context: Mapping[str, Any] = info.context or {}
        if context.get("process") is process:
            fault = fault_of_secret(path)
            if fault:
                raise ValueError(fault)
        return path

    return AfterValidator(check)


def _homeserver_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("give an address such as https://matrix.hospital.example")
    if parts.scheme == "http" and not _is_loopback(parts.hostname):
        raise ValueError("plain http is for this machine only; use https")
    return url.rstrip("/")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _like(pattern: str, example: str) -> AfterValidator:
    """Check the shape of a text, and show a right one instead of a pattern."""

    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(f"write it like {example}")
        return text

    return AfterValidator(check)


def _some(names: tuple[str, ...]) -> tuple[str, ...]:
    if not names:
        raise ValueError("give at least one")
    return names


def _earliest_first(warnings: tuple[timedelta, ...]) -> tuple[timedelta, ...]:
    if not warnings or list(warnings) != sorted(set(warnings), reverse=True):
        raise ValueError("give at least one, the earliest (longest) first, none twice")
    return warnings


Duration = Annotated[timedelta, BeforeValidator(_duration)]
Warnings = Annotated[tuple[Duration, ...], AfterValidator(_earliest_first)]
FilePath = Annotated[Path, BeforeValidator(_path)]
BotSecret = Annotated[Path, BeforeValidator(_path), _secret_of(Process.BOT)]
EraserSecret = Annotated[Path, BeforeValidator(_path), _secret_of(Process.ERASER)]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Host = Annotated[str, _like(r"[A-Za-z0-9.:_-]{1,255}", "mail.hospital.example")]
Port = Annotated[int, Field(ge=1, le=65535, strict=True)]
Url = Annotated[str, AfterValidator(_homeserver_url)]
MatrixId = Annotated[str, _like(r"@[a-z0-9._=/+-]{1,200}:[A-Za-z0-9.:\[\]-]{1,200}", "@consilium:hospital.example")]
ServerName = Annotated[str, _like(r"[A-Za-z0-9.:\[\]-]{1,230}", "hospital.example")]
Address = Annotated[str, _like(r"[!-?A-~]{1,64}@[A-Za-z0-9.-]{1,189}", "consilium@hospital.example")]
LineName = Annotated[str, _like(r"[a-z][a-z0-9_-]{0,39}", "rhythmology")]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class SignIn(_Section):
    """How the bot signs in: with a password, or with a token that is bound to one device."""

    password_file: BotSecret | None = None
    token_file: BotSecret | None = None
    device_id: Text | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.password_file is None) == (self.token_file is None):
            raise ValueError("give either password_file, or token_file with device_id")
        if self.token_file is not None and self.device_id is None:
            raise ValueError("a token belongs to one device: give its device_id")
        return self


class Homeserver(_Section):
    """The hospital's Matrix homeserver, and the bot's account on it."""

    url: Url
    user_id: MatrixId
    sign_in: SignIn
    room_version: Literal["11", "12"] | None = None
    allowed_homeservers: Annotated[tuple[ServerName, ...], AfterValidator(_some)] = Field(
        default_factory=lambda known: (_server_of(known["user_id"]),)
    )

    @property
    def server_name(self) -> str:
        """Return the part of the bot's id after the colon."""
        return _server_of(self.user_id)


def _server_of(user_id: str) -> str:
    return user_id.partition(":")[2]


class Hospital(_Section):
    """What the bot says about the house it works for."""

    name: Text
    emergency_phone: Text


class Languages(_Section):
    """The language of a room before anybody chose one."""

    default: Literal["fr", "nl", "de", "en"] = "fr"


class Mail(_Section):
    """The hospital's mail server."""

    host: Host
    sender: Address
    port: Port = 587
    security: Literal["none", "starttls", "tls"] = "starttls"
    username: Text | None = None
    password_file: BotSecret | None = None

    @model_validator(mode="after")
    def _both_or_none(self) -> Self:
        if (self.username is None) != (self.password_file is None):
            raise ValueError("username and password_file belong together")
        if self.username is not None and self.security == "none" and not _is_loopback(self.host):
            raise ValueError("a password is not sent without encryption: security must be starttls or tls")
        return self


class Http(_Section):
    """Where /healthz and /metrics answer."""

    host: Host = "127.0.0.1"
    port: Port = 9180


class Lines(_Section):
    """Which lines are open; without a folder, those that come with the program."""

    enabled: Annotated[tuple[LineName, ...], AfterValidator(_some)]
    folder: FilePath | None = None


class Clock(_Section):
    """How wrong a clock may be before `consilium check` says so."""

    homeserver_skew: Duration = timedelta(minutes=2)


class Unacknowledged(_Section):
    """What happens to an opinion that nobody acknowledged, counted from its delivery."""

    tell_coordinator: Duration = timedelta(days=7)
    erase_rooms: Duration = timedelta(days=14)
    erase_opinion: Duration = timedelta(days=90)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not self.tell_coordinator < self.erase_rooms < self.erase_opinion:
            raise ValueError("tell_coordinator must come before erase_rooms, and that before erase_opinion")
        return self


class Expiry(_Section):
    """The end of a case."""

    grace: Duration = timedelta(hours=24)
    warnings: Warnings = (timedelta(hours=72), timedelta(hours=24))
    unacknowledged: Unacknowledged = Unacknowledged()


class Limits(_Section):
    """What one person may ask of the bot."""

    max_document_mb: Annotated[int, Field(ge=1, le=4096, strict=True)] = 500
    commands_per_minute: Annotated[int, Field(ge=1, le=600, strict=True)] = 30


class EraserAccess(_Section):
    """The eraser: the folder that both processes share, and what only the eraser's process reads."""

    folder: FilePath
    admin_token_file: EraserSecret
    url: Url | None = None
    """Where the admin interface answers, if not at `homeserver.url`."""


class Enrolment(_Section):
    """How physicians get their second factor."""

    secret: Literal["chat", "desk"] = "desk"  # noqa: S105  # the place where it is handed out


class Config(_Section):
    """Everything that the program is told at its start."""

    homeserver: Homeserver
    data_dir: FilePath
    master_key_file: BotSecret
    hospital: Hospital
    lines: Lines
    languages: Languages = Languages()
    mail: Mail | None = None
    http: Http = Http()
    clock: Clock = Clock()
    expiry: Expiry = Expiry()
    limits: Limits = Limits()
    eraser: EraserAccess | None = None
    enrolment: Enrolment = Enrolment()


def load_config(path: Path, *, process: Process = Process.BOT) -> Config:
    """Read and check the configuration of *process*.

    Raises:
        ConfigError: with one line for each mistake: the key, and what is wrong; never the value.
    """
    try:
        raw = yaml.load(path.read_text(encoding="utf-8"), Loader=_StrictLoader)  # noqa: S506  # a SafeLoader
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: is not UTF-8") from None
    except yaml.MarkedYAMLError as error:
        raise ConfigError(f"{path}: {_place_of(error)}") from None
    except yaml.YAMLError:
        raise ConfigError(f"{path}: is not YAML") from None
    if not isinstance(raw, dict):
        raise ConfigError(f"{path}: must be a mapping of sections, as in config.example.yaml")
    mistakes = {where: f"{where}: still the placeholder {PLACEHOLDER}; put your own" for where in _placeholders(raw)}
    # A section whose keys are all left out is empty in YAML.
    sections = {name: section for name, section in raw.items() if section is not None}
    config: Config | None = None
    try:
        config = Config.model_validate(sections, context={"folder": path.absolute().parent, "process": process})
    except ValidationError as error:
        for line in error.errors(include_url=False, include_input=False, include_context=False):
            if line["type"] == "default_factory_not_called":
                continue  # the default rests on a key that has a line of its own
            where = ".".join(str(part) for part in line["loc"])
            mistakes.setdefault(where, _sentence(where, line["type"], line["msg"]))
    if mistakes or config is None:
        raise ConfigError("\n".join(mistakes.values()))
    return config


class _StrictLoader(yaml.SafeLoader):
    """YAML without silent surprises: a key that stands twice is a mistake."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[object] = set()
        for key_node, _ in node.value:
            if isinstance(key_node, yaml.ScalarNode):
                if key_node.value in seen:
                    raise yaml.constructor.ConstructorError(None, None, "a key stands twice", key_node.start_mark)
                seen.add(key_node.value)
        return super().construct_mapping(node, deep)


def _place_of(error: yaml.MarkedYAMLError) -> str:
    """Say where the YAML is wrong, without its text: that could be a secret."""
    what = "a key stands twice" if error.problem == "a key stands twice" else "not valid YAML"
    mark = error.problem_mark
    return f"line {mark.line + 1}, column {mark.column + 1}: {what}" if mark else what


def _placeholders(value: object, where: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _placeholders(inner, f"{where}.{key}" if where else str(key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _placeholders(inner, f"{where}.{number}")
    elif isinstance(value, str) and PLACEHOLDER in value:
        yield where


def _sentence(where: str, kind: str, message: str) -> str:
    if kind == "missing":
        return f"{where}: is missing"
    if kind == "extra_forbidden":
        near = difflib.get_close_matches(where.rpartition(".")[2], _siblings(where), n=1)
        return f"{where}: no such key" + (f"; did you mean {near[0]}?" if near else "")
    if kind == "model_type":
        return f"{where}: must be a section with keys of its own"
    return f"{where}: {message.removeprefix('Value error, ').replace('Input should be', 'must be')}"


def _siblings(where: str) -> list[str]:
    """Return the keys that are known where an unknown one stands."""
    model: Any = Config
    for part in where.split(".")[:-1]:
        annotation = model.model_fields[part].annotation
        options = [annotation, *getattr(annotation, "__args__", ())]
        model = next(o for o in options if isinstance(o, type) and issubclass(o, BaseModel))
    return list(model.model_fields)
