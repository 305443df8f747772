"""One answer with the request that it answers: the value that the rules of interpretation are written against."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from refreshd.core.errors import FlinksUnreadable
from refreshd.core.model import LoginId
from refreshd.core.wire.body import Document
from refreshd.core.wire.requests import Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """`http_status` is the transport's word; `status` the less favourable of it and the body's own HttpStatusCode."""

    request: Request
    http_status: int
    headers: Mapping[str, str] = field(repr=False)
    document: Document
    received_at: datetime

    @property
    def status(self) -> int:
        return max(self.http_status, self.document.status or 0)

    @property
    def endpoint(self) -> str:
        """The vendor's name of the endpoint, without a RequestId."""
        return self.request.path.split("/")[1]

    @property
    def login_id(self) -> LoginId:
        """The login asked about, where the operation always names one."""
        if self.request.login_id is None:
            message = f"a request of {self.request.operation} must name its login"
            raise TypeError(message)
        return self.request.login_id

    def header(self, name: str) -> str | None:
        """By name in lower case, whatever the mapping's own idea of case."""
        return next((value for key, value in self.headers.items() if key.lower() == name), None)

    def unreadable(self, what: str, *, hint: str = "") -> FlinksUnreadable:
        """The error that says what about this answer no document describes; `what` never quotes the answer."""
        return FlinksUnreadable(
            f"{self.endpoint} answered {self.status}, but {what}",
            hint=hint,
            status=self.http_status,
            code=self.document.code,
        )
