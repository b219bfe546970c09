"""How a call to an outside service can fail: retryable, refused, or a mistake of ours.

::

    GatewayError
    ├── GatewayUnavailable   try again later, with the same idempotency key
    ├── GatewayRefused       the answer is no, and stays no
    │   ├── PaymentDeclined
    │   └── ShipmentRefused
    └── GatewayMisused       we asked for something that makes no sense: a bug or a wrong setting
"""

from __future__ import annotations


class GatewayError(Exception):
    """A call to an outside service did not end well."""


class GatewayUnavailable(GatewayError):
    """The service gave no usable answer. Try again with the same idempotency key.

    ``may_have_happened`` is False when the service surely did not act: the connection was refused or never
    came about, or the service answered that it is unavailable (503) or busy (429). It is True when nobody
    knows: time-out, broken connection, any other server error. What may have happened must be compensated if
    it is not tried again.
    """

    def __init__(self, message: str, *, may_have_happened: bool) -> None:
        super().__init__(message)
        self.may_have_happened = may_have_happened

    @property
    def public_reason(self) -> str:
        """In words for a customer: the technical ones are for the operator."""
        return "A service that we need could not be reached for too long."

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle with the keyword, so that the error survives the trip between worker processes."""
        return _unavailable, (str(self), self.may_have_happened)


class GatewayRefused(GatewayError):
    """The service will never do this; the same request gets the same answer. Nothing happened.

    ``code`` is for programs, ``message`` is written for the customer and may be shown.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message

    @property
    def public_reason(self) -> str:
        """In words for a customer."""
        return self.message

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class PaymentDeclined(GatewayRefused):
    """The card was declined."""


class ShipmentRefused(GatewayRefused):
    """The carrier does not take this shipment."""


class GatewayMisused(GatewayError):
    """The service rejected the request itself: a bug or a wrong setting on our side. Nothing happened.

    Trying again does not help and the text is not for customers. ``status`` is the HTTP status, None when the
    request could not even be sent; ``code`` is the service's own word for it.
    """

    def __init__(self, status: int | None, code: str, detail: str) -> None:
        super().__init__(status, code, detail)
        self.status = status
        self.code = code
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.code} (HTTP {self.status or '-'}): {self.detail}"


def _unavailable(message: str, may_have_happened: bool) -> GatewayUnavailable:
    return GatewayUnavailable(message, may_have_happened=may_have_happened)
