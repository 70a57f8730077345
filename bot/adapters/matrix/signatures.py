"""Canonical JSON and Ed25519 signatures as the Matrix specification defines them (appendices, "Signing JSON")."""

import json
from collections.abc import Mapping
from typing import Any

import vodozemac


def canonical(value: Mapping[str, Any]) -> bytes:
    """Return the canonical JSON of *value* without its `signatures` and `unsigned`."""
    signed = {key: entry for key, entry in value.items() if key not in {"signatures", "unsigned"}}
    return json.dumps(signed, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


def is_signed(value: Mapping[str, Any], *, by: str, key_id: str, public_key: str) -> bool:
    """Return whether *value* carries a valid signature of the user *by* under *key_id* (`ed25519:…`).

    Everything here comes from strangers: whatever is not exactly right is simply not signed.
    """
    try:
        signature = value["signatures"][by][key_id]
        vodozemac.Ed25519PublicKey.from_base64(public_key).verify_signature(
            canonical(value), vodozemac.Ed25519Signature.from_base64(signature)
        )
    except (KeyError, TypeError, ValueError, RecursionError):
        return False
    return True
