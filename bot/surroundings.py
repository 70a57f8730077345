"""`consilium check`: the configuration and everything around it, one line each with what to do."""

import asyncio
import email.utils
import shutil
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp

from bot.adapters.clock import SystemClock
from bot.adapters.documents import DocumentReader
from bot.adapters.eraser import EraserDesk
from bot.adapters.matrix.glance import glance
from bot.config import Config
from bot.domain.errors import ConsiliumError
from bot.domain.ids import CaseId, UserId
from bot.wiring import catalogue, opened_records


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: whether it is well, and what to do if not."""

    well: bool
    what: str


async def check(config: Config) -> bool:
    """Print a line for everything that was looked at; return whether all is well."""
    well = True
    async for finding in _findings(config):
        well = well and finding.well
        sys.stdout.write(f"{'ok  ' if finding.well else 'FAIL'}  {finding.what}\n")
    return well


async def _findings(config: Config) -> AsyncIterator[Finding]:
    lines = catalogue(config)
    yield Finding(True, f"configuration: {len(lines)} lines open ({', '.join(line.id for line in lines)})")
    yield await _server(config)
    yield _tools()
    async for finding in _mail(config):
        yield finding
    async for finding in _records(config, max((line.max_document_mb for line in lines), default=0)):
        yield finding
    reader = DocumentReader()
    try:
        layers = await reader.isolation()
        yield Finding(bool(layers), f"documents are decoded in a child process behind: {', '.join(layers)}")
    finally:
        await reader.close()


async def _server(config: Config) -> Finding:
    url = config.homeserver.url
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as http,
            http.get(f"{url}/_matrix/client/versions") as answer,
        ):
            date = answer.headers.get("Date")
            if answer.status != 200:
                return Finding(False, f"homeserver: {url} answers {answer.status}; look at the address and its proxy")
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        return Finding(False, f"homeserver: {url} cannot be reached ({type(error).__name__}); is it running?")
    skew = abs((SystemClock().now() - email.utils.parsedate_to_datetime(date)).total_seconds()) if date else 0.0
    if skew > config.clock.homeserver_skew.total_seconds():
        return Finding(False, f"clock: {skew:.0f} s away from the homeserver's; set up NTP on both")
    return Finding(True, f"homeserver: {url} answers; clocks differ by {skew:.0f} s")


def _tools() -> Finding:
    if shutil.which("pdfsig"):
        return Finding(True, "tools: pdfsig is here (a second opinion on signatures)")
    return Finding(
        True,
        "tools: pdfsig is not here; opinions are checked by consilium verify alone (apt-get install poppler-utils)",
    )


async def _mail(config: Config) -> AsyncIterator[Finding]:
    if config.mail is None:
        yield Finding(True, "mail: none; physicians get no notices by e-mail")
        return
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(config.mail.host, config.mail.port), 10)
        writer.close()
        await writer.wait_closed()
        yield Finding(True, f"mail: {config.mail.host} port {config.mail.port} answers")
    except (OSError, TimeoutError) as error:
        yield Finding(
            False, f"mail: {config.mail.host} port {config.mail.port} cannot be reached ({type(error).__name__})"
        )


async def _records(config: Config, document_mb: int) -> AsyncIterator[Finding]:
    try:
        async with opened_records(config) as records:
            yield Finding(True, f"records: {config.data_dir} opens with its master key")
            async with glance(config.homeserver.url, records.secrets) as look:
                identity = await look.identity(UserId(config.homeserver.user_id))
                signed = [device for device in identity.devices if device.cross_signed]
                one = len(identity.devices) == 1 and len(signed) == 1
                yield Finding(
                    one, f"identity: {len(identity.devices)} device(s), {len(signed)} cross-signed; must be one and one"
                )
                limit = await look.upload_limit()
                enough = limit is None or limit >= document_mb * 1_000_000
                yield Finding(
                    enough,
                    f"uploads: the homeserver takes {limit or 0} bytes, the lines {document_mb} MB"
                    + ("" if enough else "; raise max_upload_size, or lower max_document_mb of the lines"),
                )
    except ConsiliumError as error:
        yield Finding(False, f"records: {error}")
    if config.eraser is not None:
        status = await EraserDesk(config.eraser.folder, clock=SystemClock()).status(CaseId("C-0000-0000"))
        yield Finding(status.alive, "eraser: " + ("running" if status.alive else "not running; start consilium eraser"))
    else:
        yield Finding(False, "eraser: not configured; rooms and files of ended cases stay on the homeserver")
    user, url = config.homeserver.user_id, config.homeserver.url
    yield Finding(
        True,
        "limits: Synapse slows a busy bot down until an administrator of the homeserver makes this call once:\n"
        f"      curl -X POST -H 'Authorization: Bearer ADMIN_TOKEN' -d '{{\"messages_per_second\": 0}}' "
        f"'{url}/_synapse/admin/v1/users/{user}/override_ratelimit'",
    )
