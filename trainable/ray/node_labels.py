"""Ray's labels of nodes, by which work is kept off some of them."""

from collections.abc import Sequence

NODE_ID = "ray.io/node-id"
"""Every node has this one."""


def elsewhere_than(nodes: Sequence[str]) -> dict[str, str]:
    """A label selector that all nodes but these fit; `nodes` are ids, at least one."""
    return {NODE_ID: f"!in({','.join(nodes)})"}
