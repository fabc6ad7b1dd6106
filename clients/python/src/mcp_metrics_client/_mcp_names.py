"""Which names may become labels: those that a server has, never those that a caller made up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

OTHER = "_other"
"""Stands for every other name. The gateway counts its own overflow under the same one."""

_NAMES_AT_MOST = 1_000

_METHODS = """
initialize ping tools/list tools/call resources/list resources/templates/list resources/read resources/subscribe
resources/unsubscribe prompts/list prompts/get completion/complete logging/setLevel server/discover
subscriptions/listen sampling/createMessage elicitation/create roots/list tasks/get tasks/result tasks/list tasks/cancel
tasks/update notifications/initialized notifications/cancelled notifications/progress notifications/message
notifications/tools/list_changed notifications/prompts/list_changed notifications/resources/list_changed
notifications/resources/updated notifications/roots/list_changed notifications/elicitation/complete
notifications/tasks/status notifications/subscriptions/acknowledged
"""
METHODS = frozenset(_METHODS.split())
"""Of the protocol's revisions up to 2026-07-28."""


class Names:
    """Names of one kind: what a server lists, and what it answers well as long as no list was seen whole."""

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._listed = False

    def add(self, names: Iterable[object]) -> None:
        """Names that the server is known to have."""
        for name in names:
            if isinstance(name, str) and name and len(self._known) < _NAMES_AT_MOST:
                self._known.add(name)

    def learn(self, result: Mapping[str, Any]) -> None:
        """Reads what a `tools/list` was answered."""
        tools = result.get("tools")
        if not isinstance(tools, (list, tuple)):
            return
        # Names may be on pages that nobody asked for yet.
        if not result.get("nextCursor"):
            self._listed = True
        self.add(tool.get("name") if isinstance(tool, Mapping) else getattr(tool, "name", None) for tool in tools)

    def forget_list(self) -> None:
        """The list has changed: until it is seen again, names are learned from good answers too."""
        self._listed = False

    def __contains__(self, name: object) -> bool:
        return name in self._known

    def label(self, name: str | None, succeeded: bool) -> str:
        """The name, or `_other`."""
        if succeeded and not self._listed:
            self.add([name])
        return name if name is not None and name in self._known else OTHER


def method_label(method: str, extensions: Names, succeeded: bool) -> str:
    """A method as a label: the protocol's own, and further ones that the peer answered well."""
    return method if method in METHODS else extensions.label(method, succeeded)
