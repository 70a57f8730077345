"""The few calls of the client-server API that the engine makes, with every failure turned into an ExternalError.

nio's own HTTP layer is not used: it repeats requests without end (three rooms from one createRoom), sleeps on 429
without limit, does not read `Retry-After`, and returns errors as values that a caller can overlook.
"""

import asyncio
import json
import re
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any
from urllib.parse import quote

import aiohttp

from bot.domain.errors import ExternalError, Permanent

LARGE_ANSWER = 1 << 20
"""Bytes from which an answer is parsed in a thread, so that the loop goes on."""

LONGEST_PATIENCE = 10.0
"""Seconds that a key request waits out a rate limit by itself."""

CLIENT = "/_matrix/client/v3"


class Refused(Permanent):
    """The homeserver understood and said no; `errcode` is Matrix's, `status` HTTP's."""

    def __init__(self, code: str, *, status: int, errcode: str, body: Mapping[str, Any]) -> None:
        super().__init__(code)
        self.status = status
        self.errcode = errcode
        self.body = body


class SignedOut(ExternalError):
    """The homeserver no longer knows the token."""

    def __init__(self) -> None:
        super().__init__("signed_out")


def path(*segments: str) -> str:
    """Join *segments*, each quoted whole: ids hold `:`, `/`, `!`, `$` and whatever a stranger chose."""
    return CLIENT + "".join("/" + quote(segment, safe="") for segment in segments)


class HomeserverApi:
    """An HTTP client for one homeserver and one access token."""

    def __init__(self, url: str, *, request_seconds: float) -> None:
        self._url = url.rstrip("/")
        self._seconds = request_seconds
        self._session: aiohttp.ClientSession | None = None
        self.token: str | None = None

    async def open(self) -> None:
        """Make the connection pool."""
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=self._seconds))

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def get(
        self, where: str, *, params: Mapping[str, str] | None = None, seconds: float | None = None
    ) -> dict[str, Any]:
        """GET *where* and return the JSON object.

        Raises:
            ExternalError: "limited" (429), "signed_out" (401), "timeout", "unreachable", "server_error".
            Refused: any other 4xx.
        """
        return await self._call("GET", where, params=params, seconds=seconds)

    async def post(
        self,
        where: str,
        body: object,
        *,
        params: Mapping[str, str] | None = None,
        seconds: float | None = None,
    ) -> dict[str, Any]:
        """POST the JSON of *body* to *where*; raises as `get`."""
        return await self._call("POST", where, params=params, body=body, seconds=seconds)

    async def post_patiently(self, where: str, body: object, *, seconds: float | None = None) -> dict[str, Any]:
        """POST; when the homeserver limits it, wait as long as it says, if that is not long, and try once more."""
        try:
            return await self.post(where, body, seconds=seconds)
        except ExternalError as error:
            if error.code != "limited" or error.retry_after is None or error.retry_after > LONGEST_PATIENCE:
                raise
            await asyncio.sleep(error.retry_after)
        return await self.post(where, body, seconds=seconds)

    async def put(self, where: str, body: object, *, seconds: float | None = None) -> dict[str, Any]:
        """PUT the JSON of *body* to *where*; raises as `get`."""
        return await self._call("PUT", where, body=body, seconds=seconds)

    def raw(
        self,
        method: str,
        where: str,
        *,
        timeout: aiohttp.ClientTimeout,
        **more: Any,  # noqa: ANN401  # aiohttp's own arguments
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        """Open a request whose body is streamed, for media."""
        headers = {**more.pop("headers", {}), **self._authorization()}
        return self._open_session().request(method, self._url + where, timeout=timeout, headers=headers, **more)

    async def _call(
        self,
        method: str,
        where: str,
        *,
        params: Mapping[str, str] | None = None,
        body: object = None,
        seconds: float | None = None,
    ) -> dict[str, Any]:
        sent = None if body is None else json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
        timeout = aiohttp.ClientTimeout(total=seconds or self._seconds)
        headers = self._authorization() | ({} if sent is None else {"Content-Type": "application/json"})
        try:
            async with self._open_session().request(
                method, self._url + where, params=params, data=sent, headers=headers, timeout=timeout
            ) as response:
                answer = await response.read()
                status, waits = response.status, response.headers.get("Retry-After")
        except TimeoutError:
            raise ExternalError("timeout") from None
        except (aiohttp.ClientError, OSError):
            raise ExternalError("unreachable") from None
        parsed = await parse_answer(answer, ok=status < 300)
        if status >= 300:
            raise answered_error(status, parsed, waits)
        return parsed

    def _authorization(self) -> dict[str, str]:
        return {} if self.token is None else {"Authorization": f"Bearer {self.token}"}

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise ExternalError("stopped")
        return self._session


def answered_error(status: int, body: Mapping[str, Any], retry_after: str | None) -> ExternalError:
    """Turn an error answer into our exception.

    `Retry-After` counts before `retry_after_ms`, which the specification deprecates since v1.10.
    """
    errcode = str(body.get("errcode", ""))
    if status == 429:
        return ExternalError("limited", retry_after=_wait(body, retry_after))
    if status == 401 and errcode in {"M_UNKNOWN_TOKEN", "M_MISSING_TOKEN"}:
        return SignedOut()
    if status >= 500:
        return ExternalError("server_error", retry_after=_wait(body, retry_after) if retry_after else None)
    code = {403: "forbidden", 404: "not_found", 413: "too_large", 401: "unauthorized"}.get(status, "refused")
    return Refused(code, status=status, errcode=errcode, body=body)


def _wait(body: Mapping[str, Any], retry_after: str | None) -> float:
    if retry_after is not None and re.fullmatch(r"\d{1,6}", retry_after.strip()):
        return float(retry_after)
    milliseconds = body.get("retry_after_ms")
    if isinstance(milliseconds, int | float) and 0 <= milliseconds < 10**9:
        return milliseconds / 1000
    return 5.0


async def parse_answer(answer: bytes, *, ok: bool) -> dict[str, Any]:
    """Parse a JSON object; an error answer of a proxy need not be one, a good answer must be.

    Raises:
        ExternalError: "bad_answer".
    """
    try:
        if len(answer) > LARGE_ANSWER:
            parsed = await asyncio.to_thread(json.loads, answer)
        else:
            parsed = json.loads(answer)
    except (ValueError, RecursionError):
        parsed = None
    if isinstance(parsed, dict):
        return parsed
    if ok:
        raise ExternalError("bad_answer")
    return {}
