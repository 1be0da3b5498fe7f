"""The command palette: every action that the screen and the app offer now, by the words of its key."""

from collections.abc import Iterator
from functools import partial

from textual.binding import Binding
from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.dom import DOMNode
from textual.widgets import Input, TextArea


class Actions(Provider):
    """Offers the active bindings, so that nothing is missing from the palette and nothing in it does nothing."""

    async def discover(self) -> Hits:
        """Offer all of them while nothing is typed."""
        for binding in self._bindings():
            yield DiscoveryHit(_name(binding), partial(self._carry_out, binding), help=binding.tooltip or None)

    async def search(self, query: str) -> Hits:
        """Offer those that fit what is typed."""
        matcher = self.matcher(query)
        for binding in self._bindings():
            if (score := max(matcher.match(_name(binding)), matcher.match(binding.tooltip))) > 0:
                yield Hit(score, matcher.highlight(_name(binding)), partial(self._carry_out, binding), help=binding.tooltip or None)

    def _bindings(self) -> Iterator[Binding]:
        seen = set[str]()
        for active in self.screen.active_bindings.values():
            binding = active.binding
            edits = isinstance(active.node, Input | TextArea)  # their keys move a cursor: nobody looks for that by name
            if active.enabled and binding.description and not (binding.system or edits) and binding.action not in seen:
                seen.add(binding.action)
                yield binding

    async def _carry_out(self, binding: Binding) -> None:
        await self.app.run_action(binding.action, default_namespace=self._namespace(binding))

    def _namespace(self, binding: Binding) -> DOMNode | None:
        return next(active.node for active in self.screen.active_bindings.values() if active.binding.action == binding.action)


def _name(binding: Binding) -> str:
    return f"{binding.description}  ({binding.key})"
