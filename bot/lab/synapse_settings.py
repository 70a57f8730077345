"""The configuration of the lab's Synapse, written into its folder at each start."""

import base64
import json
import secrets
from collections.abc import Mapping
from pathlib import Path

# Names this very start in /.well-known/matrix/client, so that a neighbour's Synapse is never taken for ours.
INSTANCE = "org.consilium.instance"

_NO_LIMIT = {"per_second": 100_000, "burst_count": 100_000}

RELAXED_LIMITS: Mapping[str, object] = {
    "rc_message": _NO_LIMIT,
    "rc_registration": _NO_LIMIT,
    "rc_login": {"address": _NO_LIMIT, "account": _NO_LIMIT, "failed_attempts": _NO_LIMIT},
    "rc_joins": {"local": _NO_LIMIT, "remote": _NO_LIMIT},
    "rc_joins_per_room": _NO_LIMIT,
    "rc_invites": {"per_room": _NO_LIMIT, "per_user": _NO_LIMIT, "per_issuer": _NO_LIMIT},
    "rc_room_creation": _NO_LIMIT,
    "rc_media_create": _NO_LIMIT,
    "rc_admin_redaction": _NO_LIMIT,
    "rc_key_requests": _NO_LIMIT,
    "rc_third_party_invite": _NO_LIMIT,
}


class HomeserverFailed(Exception):
    """Synapse is missing, did not start, or refused a request; the text is one line."""


def kept(folder: Path, server_name: str) -> dict[str, str]:
    """Return the secrets of this folder's server, made on the first start."""
    path = folder / "secrets.json"
    if path.exists():
        found: dict[str, str] = json.loads(path.read_text())
        if found["server_name"] != server_name:
            raise HomeserverFailed(f"{folder} belongs to the server {found['server_name']}, not {server_name}")
        return found
    seed = base64.b64encode(secrets.token_bytes(32)).decode().rstrip("=")
    fresh = {
        "server_name": server_name,
        "signing_key": f"ed25519 a_{secrets.token_hex(2)} {seed}",
        "registration_shared_secret": secrets.token_urlsafe(32),
        "macaroon_secret_key": secrets.token_urlsafe(32),
        "form_secret": secrets.token_urlsafe(32),
    }
    path.touch(mode=0o600)
    path.write_text(json.dumps(fresh, indent=1))
    return fresh


def write(folder: Path, kept: Mapping[str, str], port: int, instance: str, overlay: Mapping[str, object]) -> None:
    """Write Synapse's configuration files for this port; *overlay* is laid over it (JSON is YAML)."""
    (folder / "signing.key").write_text(kept["signing_key"] + "\n")
    log: dict[str, object] = {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
        "handlers": {
            "file": {
                "class": "logging.handlers.RotatingFileHandler",
                "formatter": "line",
                "filename": str(folder / "synapse.log"),
                "maxBytes": 10_000_000,
                "backupCount": 1,
                "encoding": "utf-8",
            }
        },
        "root": {"level": "WARNING", "handlers": ["file"]},
    }
    (folder / "log.yaml").write_text(json.dumps(log, indent=1))
    listener = {
        "port": port,
        "type": "http",
        "tls": False,
        "bind_addresses": ["127.0.0.1"],
        "resources": [{"names": ["client"], "compress": False}],
    }
    config: dict[str, object] = {
        "server_name": kept["server_name"],
        "public_baseurl": f"http://127.0.0.1:{port}/",
        "extra_well_known_client_content": {INSTANCE: instance},
        "report_stats": False,
        "pid_file": str(folder / "synapse.pid"),
        "listeners": [listener],
        "database": {"name": "sqlite3", "args": {"database": str(folder / "homeserver.db")}},
        "media_store_path": str(folder / "media"),
        "signing_key_path": str(folder / "signing.key"),
        "log_config": str(folder / "log.yaml"),
        "registration_shared_secret": kept["registration_shared_secret"],
        "macaroon_secret_key": kept["macaroon_secret_key"],
        "form_secret": kept["form_secret"],
        "enable_registration": False,
        "bcrypt_rounds": 4,  # the passwords are those of synthetic persons on loopback
        "enable_authenticated_media": True,
        "url_preview_enabled": False,
        "presence": {"enabled": False},
        "trusted_key_servers": [],
        "federation_domain_whitelist": [],
        "suppress_key_server_warning": True,
        **overlay,
    }
    target = folder / "homeserver.yaml"
    target.touch(mode=0o600)
    target.write_text(json.dumps(config, indent=1))
