"""JSON over HTTP to one outside service: connections, time-outs, and what no answer means."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import httpx

from orders.gateways.answers import Answer, read_answer
from orders.gateways.errors import GatewayMisused, GatewayUnavailable

# Errors from before the request left this machine: the service cannot have acted.
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
# Errors in what we wanted to send: no other attempt will fare better.
_NOT_SENDABLE = (httpx.LocalProtocolError, httpx.UnsupportedProtocol, httpx.InvalidURL, UnicodeError)
_KEEPALIVE_SECONDS = 5.0  # shorter than servers' own, so that we hardly ever send into a closing connection


@dataclass(frozen=True, slots=True)
class ServiceConfig:
    """Where a service is, how to authenticate, how long to wait (seconds).

    ``use_proxy`` honours ``HTTP_PROXY`` and its kin, which is wrong for a service on our own network.
    ``read_timeout`` bounds each silence of the service, not the whole call: a service that drips its answer
    byte by byte can take longer.
    """

    url: str
    token: str = field(repr=False)
    read_timeout: float = 5.0
    connect_timeout: float = 2.0
    use_proxy: bool = False

    def __post_init__(self) -> None:
        """Raise ValueError, with advice, for values that cannot work."""
        if not _is_http_url(self.url):
            raise ValueError(f"the service's URL must look like http://host:port, not {self.url!r}")
        if not self.token or not self.token.isascii():
            raise ValueError("the service's token must be set, in ASCII")
        if not (0 < self.read_timeout < math.inf and 0 < self.connect_timeout < math.inf):
            raise ValueError("time-outs must be positive numbers of seconds")


class JsonService:
    """Asks one service. Threads may share it; a forked process gets connections of its own."""

    def __init__(self, config: ServiceConfig) -> None:
        self._config = config
        self._clients: dict[int, httpx.Client] = {}

    def post(self, path: str, body: Mapping[str, Any], *, key: str, traceparent: str | None) -> Answer:
        """Ask for an effect under an idempotency key.

        Raises GatewayUnavailable when there is no usable answer, GatewayMisused when it cannot be sent.
        """
        return self._ask("POST", path, {"Idempotency-Key": f'"{key}"'}, traceparent, json=body)

    def get(self, path: str, key: str, *, traceparent: str | None) -> Answer:
        """Ask about the effect under ``key``. Raises as ``post``."""
        return self._ask("GET", f"{path}/{quote(key, safe='')}", {}, traceparent)

    def close(self) -> None:
        """Close this process's connections."""
        client = self._clients.pop(os.getpid(), None)
        if client is not None:
            client.close()

    def _ask(
        self, method: str, path: str, headers: dict[str, str], traceparent: str | None, **content: Any
    ) -> Answer:
        if traceparent:
            headers["traceparent"] = traceparent
        try:
            response = self._client().request(method, path, headers=headers, **content)
        except _NEVER_SENT as error:
            raise self._unavailable(error, may_have_happened=False) from error
        except _NOT_SENDABLE as error:
            raise GatewayMisused(None, "not_sendable", str(error)) from error
        except httpx.RequestError as error:
            raise self._unavailable(error, may_have_happened=True) from error
        return read_answer(response)

    def _client(self) -> httpx.Client:
        # One client per process: a connection shared with a forked parent would mix up answers. A dictionary
        # and no lock, because a lock held while another thread forks would be held for ever in the child.
        pid = os.getpid()
        client = self._clients.get(pid)
        if client is None:
            made = self._make_client()
            client = self._clients.setdefault(pid, made)
            if client is not made:  # another thread was faster
                made.close()
        return client

    def _make_client(self) -> httpx.Client:
        config = self._config
        return httpx.Client(
            base_url=config.url,
            headers={"Authorization": f"Bearer {config.token}"},
            timeout=httpx.Timeout(config.read_timeout, connect=config.connect_timeout),
            limits=httpx.Limits(keepalive_expiry=_KEEPALIVE_SECONDS),
            trust_env=config.use_proxy,
        )

    def _unavailable(self, error: Exception, *, may_have_happened: bool) -> GatewayUnavailable:
        text = str(error) or type(error).__name__
        return GatewayUnavailable(f"{self._config.url}: {text}", may_have_happened=may_have_happened)


def _is_http_url(url: str) -> bool:
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, TypeError):
        return False
    return parsed.scheme in ("http", "https") and bool(parsed.host)
