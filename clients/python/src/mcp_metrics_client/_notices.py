"""What the client says in the service's log: each kind of trouble once, until it is over. Never a key."""

from __future__ import annotations

import logging

from ._answer import Answer
from ._settings import Settings

log = logging.getLogger("mcp_metrics_client")


class Notices:
    """Remembers what was said."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._said: set[str] = set()

    def _once(self, kind: str, text: str, *arguments: object) -> None:
        if kind not in self._said:
            self._said.add(kind)
            log.warning(text, *arguments)

    def disabled(self, why: str) -> None:
        """Nothing will be sent."""
        self._once("disabled", "MCP metrics are off: %s", why)

    def invalid(self, problem: str) -> None:
        """A metric that no gateway would take."""
        self._once("invalid", "MCP metrics: not recorded: %s. More of the kind are only counted.", problem)

    def dropping(self) -> None:
        """The queue is full."""
        self._once(
            "dropping",
            "MCP metrics: the queue is full (%d metrics or %d bytes), the oldest are dropped and counted.",
            self._settings.limits.max_queue_metrics,
            self._settings.limits.max_queue_bytes,
        )

    def trouble(self, answer: Answer) -> None:
        """The batch is kept."""
        if answer.verdict == "misconfigured":
            self._once(
                "misconfigured",
                "MCP metrics: %s does not take them (%s). Check METRICS_SERVICE_URL and METRICS_API_KEY; "
                "they are kept, within the queue's limit, and tried again every %g s.",
                self._settings.url,
                answer.detail,
                self._settings.limits.misconfigured_pause,
            )
        else:
            self._once(
                "retry",
                "MCP metrics: %s cannot take them now (%s); they are kept, within the queue's limit, and sent again.",
                self._settings.url,
                answer.detail,
            )

    def refused(self, answer: Answer, metrics: int) -> None:
        """The batch is lost: it would be refused for ever."""
        self._once(
            "refused",
            "MCP metrics: %d refused for what is in them (%s); more of the kind are only counted.",
            metrics,
            answer.detail,
        )

    def delivered(self, answer: Answer) -> None:
        """Trouble is over, if there was any."""
        if answer.rejected:
            self._once(
                "rejected",
                "MCP metrics: the gateway rejected %d of a batch (%s); more of the kind are only counted.",
                answer.rejected,
                answer.detail,
            )
        if self._said & {"retry", "misconfigured"}:
            self._said -= {"retry", "misconfigured"}
            log.info("MCP metrics: %s takes them again.", self._settings.url)

    def expired(self, metrics: int) -> None:
        """Half a day without a success."""
        self._once("expired", "MCP metrics: %d are too old to be sent again and dropped.", metrics)

    def abandoned(self, metrics: int) -> None:
        """At exit."""
        self._once("abandoned", "MCP metrics: %d could not be delivered before the exit.", metrics)

    def broken(self, error: BaseException) -> None:
        """A fault of this library; the next metric starts the thread anew."""
        self._once("broken", "MCP metrics: the sender failed (%r); please report this.", error)
