"""Routes for the other services: the caller is a service; correlation id and deadline are those of its own request."""

import re
from typing import Any, ClassVar

from common.http import Resolver
from common.observability import correlate


class InternalResolver(Resolver):
    """As Resolver, behind the verification of service tokens: `principal` is the calling service's client, so keys of
    one service are not those of another."""

    token_use: ClassVar[str] = "access"
    to_answer_seconds = 0.3

    def resolve(self, event: Any, context: Any) -> dict[str, Any]:
        story = (event.get("headers") or {}).get("X-Correlation-Id") or ""
        if re.fullmatch(r"[\x21-\x7e]{1,64}", story):
            correlate(story)
        return super().resolve(event, context)
