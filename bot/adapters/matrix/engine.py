"""The Matrix engine: signs in, keeps the sync loop, and offers `Rooms` to the services."""

import asyncio
import fcntl
import os
import random
import secrets as tokens
from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from bot.adapters.matrix.cross_signing import (
    OwnIdentity,
    ensure_identity,
    foreign_identity,
    identity_replaced,
    own_keys,
)
from bot.adapters.matrix.crypto import Crypto
from bot.adapters.matrix.devices import Directory
from bot.adapters.matrix.http import HomeserverApi, Refused, SignedOut, path
from bot.adapters.matrix.media import Media
from bot.adapters.matrix.receiving import Receiver
from bot.adapters.matrix.room_facts import RoomFacts
from bot.adapters.matrix.rooms import RoomKeeper
from bot.adapters.matrix.sending import Sender
from bot.adapters.matrix.settings import SignIn, Timeouts
from bot.adapters.matrix.sign_in import check_only_device, check_own_keys, sign_in, signed_out
from bot.adapters.matrix.store import FILE
from bot.adapters.matrix.sync import FULL, MOST_ROUNDS, KeyNews, Round, SyncReader, key_news
from bot.adapters.matrix.unwedging import Unwedging
from bot.domain.errors import ExternalError, StartRefused
from bot.domain.ids import EventId, RoomId, UserId
from bot.services.ports import (
    Arrivals,
    Audience,
    Clock,
    Counters,
    EncryptedFile,
    Identity,
    NewRoom,
    Secrets,
    Sent,
)

PICKLE_KEY = "matrix.pickle_key"
FRESH = timedelta(seconds=75)
"""Age of the last sync up to which what is kept of rooms may be believed."""
