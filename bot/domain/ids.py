"""Identifiers, each a type of its own so that one cannot stand for another."""

from typing import NewType

UserId = NewType("UserId", str)
"""A Matrix id, `@local:server`."""

RoomId = NewType("RoomId", str)
EventId = NewType("EventId", str)
DeviceId = NewType("DeviceId", str)

CaseId = NewType("CaseId", str)
"""The opaque number that people read, `C-2026-0007`; it says nothing of the line or of the patient."""

LineId = NewType("LineId", str)
"""The id of a line, as its YAML file names it."""
