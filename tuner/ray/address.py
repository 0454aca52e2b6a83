"""The address of a running Ray cluster: given, or set by `ray job submit` and KubeRay; checked before Ray waits."""

import logging
import os
import socket
from pathlib import Path

VARIABLE = "RAY_ADDRESS"
TOKEN_VARIABLES = ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")
"""Go before the token file, in this order."""
CONNECT_SECONDS = 10.0

logger = logging.getLogger(__name__)


def cluster_address(given: str | None) -> str | None:
    """The address to join, checked; None starts Ray on this machine.

    Args:
        given: the value of --address; None takes that of RAY_ADDRESS, if it is set.

    Raises:
        ValueError: it is malformed, is one for Ray's client or dashboard, or nothing answers there.
    """
    address = given or os.environ.get(VARIABLE)
    if not address or address == "local":
        return None
    name = "--address" if given else VARIABLE
    if not given:
        logger.info("joining the Ray cluster at %s, as %s says", address, VARIABLE)
    if address != "auto":
        _check(name, address)
    if os.environ.keys() & set(TOKEN_VARIABLES) or token_file().is_file():
        # Ray reads it on its import.
        os.environ.setdefault("RAY_AUTH_MODE", "token")
    return address


def _check(name: str, address: str) -> None:
    """Ray itself would wait for minutes if nothing listens."""
    scheme, _, rest = address.rpartition("://")
    if scheme:
        kind = "Ray's client, which cannot run a search" if scheme == "ray" else "Ray's dashboard"
        raise ValueError(
            f"{name} is {address!r}, an address of {kind}; run the command on the cluster, such as with ray job "
            "submit, or give host:port of the cluster itself, such as 10.0.0.1:6379."
        )
    host, colon, port = rest.rpartition(":")
    if not (host and colon and port.isdecimal()):
        raise ValueError(f"{name} is {address!r}; give host:port of a running Ray cluster, such as 10.0.0.1:6379.")
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        remedy = "leave --address out" if name == "--address" else f"unset {name}"
        raise ValueError(f"Nothing answers at {address} ({error}); start Ray there, or {remedy}.") from error


def token_file() -> Path:
    """Where Ray keeps the token of clusters that ask for one."""
    return Path.home() / ".ray" / "auth_token"
