"""A homeserver, encrypted clients and bots, for tests that want the real thing."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bot.adapters.matrix import MatrixEngine, SignIn, Timeouts, Token
from bot.domain.ids import DeviceId, RoomId, UserId
from bot.lab.clients import Clients, Person
from bot.lab.homeserver import Account, Homeserver
from bot.services.ports import Arrival, ArrivalKind, Audience, NewRoom, Sent
from tests.fakes.counters import Tally
from tests.fakes.secrets import MemorySecrets
from tests.matrix.inbox import Inbox

QUICK = Timeouts(
    request=10, create_room=10, key_claim=1, share=1, backoff_first=0.05, backoff_most=0.2, share_again=0.2
)


class WallClock:
    """The time of the machine, as a client's certificate checks want it."""

    def now(self) -> datetime:
        return datetime.now(UTC)


@dataclass(slots=True, kw_only=True)
class Bot:
    """One bot with everything that outlives its process."""

    account: Account
    folder: Path
    url: str
    sign_in: SignIn
    timeouts: Timeouts
    room_version: str | None = None
    secrets: MemorySecrets = field(default_factory=MemorySecrets)
    inbox: Inbox = field(default_factory=Inbox)
    tally: Tally = field(default_factory=Tally)
    engine: MatrixEngine = field(init=False)
    loop: asyncio.Task[None] | None = None

    def __post_init__(self) -> None:
        self.engine = self.another()

    def another(self) -> MatrixEngine:
        """Return a new process's engine over the same folder, secrets and arrivals."""
        return MatrixEngine(
            homeserver_url=self.url,
            user_id=UserId(self.account.user_id),
            folder=self.folder,
            secrets=self.secrets,
            arrivals=self.inbox,
            counters=self.tally,
            clock=WallClock(),
            sign_in=self.sign_in,
            room_version=self.room_version,
            timeouts=self.timeouts,
        )

    @property
    def user_id(self) -> UserId:
        """The bot's id."""
        return UserId(self.account.user_id)

    async def start(self) -> None:
        """Start and sync, as a new process does."""
        self.engine = self.another()
        await self.engine.start()
        self.loop = asyncio.create_task(self.engine.run())

    async def stop(self) -> None:
        """Stop in an orderly way."""
        await self.engine.stop()
        if self.loop is not None:
            await asyncio.wait([self.loop])
            self.loop = None

    async def restart(self) -> None:
        """Stop and start."""
        await self.stop()
        await self.start()

    async def meet(self, *people: Person) -> None:
        """Let each person open a direct chat with the bot, as everyone does who is enrolled.

        A client that first hears of the bot by a message in a room it was invited to takes the bot's device for
        unsigned, and shows that message as insecure from then on.
        """
        for person in people:
            await self.direct_with(person)

    async def direct_with(self, person: Person) -> RoomId:
        """Let *person* open a direct chat, join it, and wait until the person's client knows the bot's identity."""
        room = await person.create_dm(self.user_id)
        arrival = await self.inbox.wait_kind(ArrivalKind.INVITE, room)
        await self.engine.join(arrival.room_id)
        await person.wait_member(room, self.user_id)
        async with asyncio.timeout(20):
            while not (await person.identity_of(self.user_id)).signed_devices:
                await asyncio.sleep(0.05)
        return RoomId(room)

    async def case_room(self, *people: Person) -> RoomId:
        """Make a room and bring *people* in."""
        await self.meet(*people)
        room = await self.engine.create(NewRoom(nonce=secrets.token_hex(8), name="C-2026-0001"))
        for person in people:
            await self.engine.invite(room, UserId(person.user_id))
            await person.wait_member(room, person.user_id, "invite")
            await person.accept(room)
            await self.inbox.wait_until(lambda arrival, who=person.user_id: is_member(arrival, room, who, "join"))  # type: ignore[misc]  # the default binds the loop's value
        return room

    async def say(self, room: RoomId, body: str, audience: Audience, *, txn: str | None = None, **more: Any) -> Sent:
        """Send a text."""
        content: Mapping[str, Any] = {"msgtype": "m.text", "body": body, **more}
        return await self.engine.send(room, content, txn=txn or secrets.token_hex(8), audience=audience)


class World:
    """Makes accounts, people and bots on one homeserver."""

    def __init__(self, homeserver: Homeserver, clients: Clients, folder: Path) -> None:
        self.homeserver = homeserver
        self.clients = clients
        self.folder = folder
        self._bots: list[Bot] = []
        self._people: dict[tuple[bool, bool], list[Person]] = {}
        self._used: dict[tuple[bool, bool], int] = {}

    async def account(self, name: str = "person") -> Account:
        """Register a fresh account."""
        return await self.homeserver.register(f"{name}-{secrets.token_hex(4)}")

    async def person(self, *, fresh: bool = False, cross_sign: bool = True, auto_accept: bool = False) -> Person:
        """Return a person with one client, in exclude-insecure mode if it is cross-signed.

        Signing in a client costs more than all else here, so people are shared between tests, each only once in a test.
        Ask for a *fresh* one if the test changes devices or identity.
        """
        kind = (cross_sign, auto_accept)
        people = self._people.setdefault(kind, [])
        used = self._used.get(kind, 0)
        if not fresh and used < len(people):
            self._used[kind] = used + 1
            return people[used]
        person = await self.clients.login(await self.account(), cross_sign=cross_sign, auto_accept=auto_accept)
        if not fresh:
            people.append(person)
            self._used[kind] = used + 1
        return person

    async def bot(
        self,
        *,
        url: str | None = None,
        room_version: str | None = None,
        timeouts: Timeouts = QUICK,
        sign_in: SignIn | None = None,
        started: bool = True,
        shared: bool = False,
    ) -> Bot:
        """Return a fresh bot, signed in with a token and syncing unless *started* is False.

        `stop_bots` leaves a *shared* one alone: who made it stops it.
        """
        account = await self.account("consilium")
        bot = Bot(
            account=account,
            folder=self.folder / secrets.token_hex(8),
            url=url or self.homeserver.url,
            sign_in=sign_in or Token(token=account.access_token, device_id=DeviceId(account.device_id)),
            timeouts=timeouts,
            room_version=room_version,
        )
        if not shared:
            self._bots.append(bot)
        if started:
            await bot.start()
        return bot

    async def stop_bots(self) -> None:
        """Stop every bot that still runs, and let the people be used again."""
        self._used.clear()
        bots, self._bots = self._bots, []
        for bot in bots:
            await bot.stop()


@asynccontextmanager
async def a_world(folder: Path) -> AsyncIterator[World]:
    """Start homeserver and clients."""
    async with (
        Homeserver.start(folder / "homeserver", relaxed_limits=True) as homeserver,
        Clients.start(homeserver.url) as clients,
    ):
        world = World(homeserver, clients, folder)
        try:
            yield world
        finally:
            await world.stop_bots()


def is_member(arrival: Arrival, room: RoomId, user_id: str, membership: str) -> bool:
    """Return whether *arrival* says that of the person."""
    wanted = {"user": user_id, "membership": membership}
    return arrival.kind is ArrivalKind.MEMBER and arrival.room_id == room and dict(arrival.content) == wanted


def everyone(*people: Person | UserId | str) -> Audience:
    """Return an audience of *people* whose identities are not pinned yet."""
    return Audience(pinned={UserId(p.user_id if isinstance(p, Person) else p): None for p in people})
