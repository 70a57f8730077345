"""Attachments, encrypted while they stream: constant memory, whatever the size.

nio encrypts in pieces of 4 KiB with two thread hops each (15 to 21 times slower than `curl`) and decrypts only what is
whole in memory.
"""

import asyncio
import base64
import hashlib
import re
import secrets as random
from collections.abc import AsyncIterator
from urllib.parse import quote

import aiohttp
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms, modes

from bot.adapters.matrix.http import HomeserverApi, Refused, answered_error, parse_answer
from bot.adapters.matrix.settings import Timeouts
from bot.domain.errors import ExternalError, Permanent
from bot.services.ports import EncryptedFile

PIECE = 256 * 1024
"""Bytes encrypted and hashed at once: well under a millisecond on the event loop, which a thread hop would cost too."""

MXC = re.compile(r"mxc://([A-Za-z0-9.:\[\]-]{1,255})/([A-Za-z0-9_~.-]{1,255})", re.ASCII)
UPLOAD = "/_matrix/media/v3/upload"
DOWNLOAD = "/_matrix/client/v1/media/download"
CONFIG = "/_matrix/client/v1/media/config"
SMALLEST_LIMIT = 50 * 1024 * 1024
"""Taken when the server names no limit: Synapse's default."""


class Media:
    """Uploads and downloads of one account."""

    def __init__(self, api: HomeserverApi, timeouts: Timeouts) -> None:
        self._api = api
        # No limit on the whole: 1 GiB over a hospital's line takes what it takes. Silence is what counts.
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=timeouts.request, sock_read=timeouts.media_idle)

    async def upload(self, chunks: AsyncIterator[bytes], size: int) -> EncryptedFile:
        """Encrypt *size* bytes with a fresh key and upload them, without a name and without a type.

        Raises:
            Permanent: "too_large", or "wrong_size": *chunks* did not hold *size* bytes.
            ExternalError: the homeserver failed; the caller must begin anew with a new stream.
        """
        key = random.token_bytes(32)
        # The lower half counts blocks and starts at 0, so that it cannot run over (specification, EncryptedFile).
        iv = random.token_bytes(8) + bytes(8)
        stream = _Encrypting(chunks, size, key, iv)
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
        try:
            async with self._api.raw(
                "POST", UPLOAD, timeout=self._timeout, data=stream.ciphertext(), headers=headers
            ) as response:
                body = await parse_answer(await response.read(), ok=response.status < 300)
                status, waits = response.status, response.headers.get("Retry-After")
        except TimeoutError:
            raise ExternalError("timeout") from None
        except (aiohttp.ClientError, OSError):
            if stream.wrong_size:
                raise Permanent("wrong_size") from None
            raise ExternalError("unreachable") from None
        if stream.wrong_size:
            raise Permanent("wrong_size")
        if status >= 300:
            raise answered_error(status, body, waits)
        return EncryptedFile(
            url=str(body["content_uri"]),
            key=base64.urlsafe_b64encode(key).decode().rstrip("="),
            iv=base64.b64encode(iv).decode().rstrip("="),
            sha256=base64.b64encode(stream.digest.digest()).decode().rstrip("="),
            size=size,
        )

    async def download(self, file: EncryptedFile) -> AsyncIterator[bytes]:
        """Stream the clear bytes; nothing may be used before the last one came, because only then the hash is known.

        Raises:
            Permanent: "bad_file" (no usable address or key), "not_found", "bad_hash" (after the last byte).
            ExternalError: the homeserver failed or the stream broke.
        """
        server, media_id = _address(file.url)
        cipher = _cipher(_unbase64(file.key, 32, url_safe=True), _unbase64(file.iv, 16))
        wanted = _unbase64(file.sha256, 32)
        digest = hashlib.sha256()
        where = f"{DOWNLOAD}/{quote(server, safe='')}/{quote(media_id, safe='')}"
        try:
            async with self._api.raw("GET", where, timeout=self._timeout) as response:
                if response.status >= 300:
                    body = await parse_answer(await response.read(), ok=False)
                    raise answered_error(response.status, body, response.headers.get("Retry-After"))
                async for piece in response.content.iter_chunked(PIECE):
                    digest.update(piece)
                    yield cipher.update(piece)
        except TimeoutError:
            raise ExternalError("timeout") from None
        except (aiohttp.ClientError, OSError):
            raise ExternalError("unreachable") from None
        if digest.digest() != wanted:
            raise Permanent("bad_hash")

    async def upload_limit(self) -> int:
        """Return the homeserver's limit in bytes."""
        try:
            limit = (await self._api.get(CONFIG)).get("m.upload.size")
        except Refused:
            limit = None
        return limit if isinstance(limit, int) and limit > 0 else SMALLEST_LIMIT


class _Encrypting:
    """A stream of ciphertext that keeps the hash of what went through it."""

    def __init__(self, chunks: AsyncIterator[bytes], size: int, key: bytes, iv: bytes) -> None:
        self._chunks = chunks
        self._left = size
        self._cipher = _cipher(key, iv)
        self.digest = hashlib.sha256()
        self.wrong_size = False

    async def ciphertext(self) -> AsyncIterator[bytes]:
        """Yield the encrypted pieces; ends early, with `wrong_size` set, when the source is too long or too short."""
        async for chunk in self._chunks:
            self._left -= len(chunk)
            if self._left < 0:
                self.wrong_size = True
                raise aiohttp.ClientPayloadError
            for start in range(0, len(chunk), PIECE):
                encrypted = self._cipher.update(chunk[start : start + PIECE])
                self.digest.update(encrypted)
                yield encrypted
                # A fast socket never makes the writer wait: without this the loop would do nothing else meanwhile.
                await asyncio.sleep(0)
        if self._left > 0:
            self.wrong_size = True
            raise aiohttp.ClientPayloadError


def _cipher(key: bytes, iv: bytes) -> CipherContext:
    return Cipher(algorithms.AES(key), modes.CTR(iv)).encryptor()


def _address(url: str) -> tuple[str, str]:
    match = MXC.fullmatch(url)
    if match is None:
        raise Permanent("bad_file")
    return match.group(1), match.group(2)


def _unbase64(text: str, length: int, *, url_safe: bool = False) -> bytes:
    """Decode unpadded base64 of exactly *length* bytes; both alphabets are taken, as clients send both."""
    try:
        padded = text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4)
        plain = padded.translate(str.maketrans("-_", "+/")) if url_safe else padded
        decoded = base64.b64decode(plain, validate=True)
    except (ValueError, AttributeError):
        raise Permanent("bad_file") from None
    if len(decoded) != length:
        raise Permanent("bad_file")
    return decoded
