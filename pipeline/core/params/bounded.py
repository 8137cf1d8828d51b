"""A YAML loader that refuses small files that would take for ever: deeply nested ones, and aliases of aliases.

params.yaml may come from somebody else's repository, and nine aliases of nine aliases, nine times over, would fill any
memory.
"""

from typing import Any, Final

import yaml

# params.yaml has a few levels and a few hundred values, so both limits are generous.
_MAX_DEPTH: Final = 32
_MAX_NODES: Final = 100_000


class BombError(yaml.YAMLError):
    """The document is nested too deeply or too large once its aliases are written out."""


class BoundedLoader(yaml.SafeLoader):
    """PyYAML's safe loader, limited to 32 levels and 100,000 values; a value counts once for each alias of it.

    Raises:
        BombError: there are more.
    """

    _depth = 0

    def get_single_node(self) -> yaml.Node | None:
        """Compose the document and count what it holds."""
        node = super().get_single_node()
        if node is not None and _written_out(node, {}) > _MAX_NODES:
            raise BombError(f"more than {_MAX_NODES} values once its aliases are written out")
        return node

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Compose one value, at most so deep."""
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise BombError(f"nested more than {_MAX_DEPTH} deep")
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


def _written_out(node: yaml.Node, known: dict[int, int]) -> int:
    """Return how many values a node contains.

    `known` has the counts of the nodes so far; 0 marks a node that is being counted, so that an alias to its own parent
    is noticed.
    """
    if id(node) in known:
        if not known[id(node)]:
            raise BombError("an alias refers to what it is part of")
        return known[id(node)]
    known[id(node)] = 0
    children: list[yaml.Node] = []
    if isinstance(node, yaml.SequenceNode):
        children = node.value
    elif isinstance(node, yaml.MappingNode):
        children = [part for pair in node.value for part in pair]
    known[id(node)] = 1 + sum(_written_out(child, known) for child in children)
    return known[id(node)]
