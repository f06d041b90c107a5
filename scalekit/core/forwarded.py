"""What a forwarding header says, read from its right end.

Every proxy adds to the right what it saw, so the right end is the one that our own proxies wrote; what
stands further left may be the visitor's invention, and is never needed to read what stands right of it.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

Address = IPv4Address | IPv6Address

MAX_HOPS = 32  # more proxies than anybody has, and few enough to be read from a header of 64 kB
# One parameter of RFC 7239, section 4. What may repeat shares no character with what follows it: a visitor's header
# takes linear time.
_PARAMETER = re.compile(r"""[\s;]*([!#$%&'*+.^_`|~\w-]+)=("(?:[^"\\]|\\.)*"|[^";\s]*)\s*(?:;|$)""")
_BRACKETED = re.compile(r"\[([^\]]+)\](?::\d+)?")


def hops(header: str, value: str) -> Iterator[Address | None]:
    """Yield the addresses of a header's hops, the last hop first; None for one that is no address.

    ``Forwarded`` is read by RFC 7239; every other header as a comma-separated list, such as X-Forwarded-For.
    """
    is_forwarded = header.lower() == "forwarded"
    for number, element in enumerate(_from_the_right(value)):
        if number == MAX_HOPS:
            return
        yield _address_in(element) if is_forwarded else address_of(element)


def address_of(node: str) -> Address | None:
    """Return the address in ``192.0.2.1``, ``192.0.2.1:80``, ``2001:db8::1`` or ``[2001:db8::1]:80``.

    None for anything else: a name, ``unknown`` and ``_hidden`` of RFC 7239, and an address with a zone,
    which may hold any text.
    """
    node = node.strip()
    bracketed = _BRACKETED.fullmatch(node)
    if bracketed:
        node = bracketed[1]
    elif node.count(":") == 1:
        node = node.partition(":")[0]
    try:
        address = ip_address(node)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        if address.scope_id is not None:
            return None
        return address.ipv4_mapped or address
    return address


def _from_the_right(value: str) -> Iterator[str]:
    """Split at the commas that stand outside quotes, beginning at the end.

    From the left, a quote that a visitor has opened would swallow what our proxies added behind it.
    """
    quoted, end = False, len(value)
    for position in range(end - 1, -1, -1):
        if value[position] == '"' and not _is_escaped(value, position):
            quoted = not quoted
        elif value[position] == "," and not quoted:
            yield value[position + 1 : end]
            end = position
    yield value[:end]


def _is_escaped(value: str, position: int) -> bool:
    r"""Tell whether a quote belongs to the text, as in ``host="a\"b"``, which may be the visitor's Host."""
    start = position
    while start and value[start - 1] == "\\":
        start -= 1
    return (position - start) % 2 == 1


def _address_in(element: str) -> Address | None:
    """Return what the parameter ``for`` says; one that stands in another's quotes is text."""
    position = 0
    while found := _PARAMETER.match(element, position):
        if found[1].lower() == "for":
            return address_of(found[2].strip('"'))
        position = found.end()
    return None
