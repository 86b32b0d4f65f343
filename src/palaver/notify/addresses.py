"""Which addresses may be called that people have given: public ones, spelled in the one usual way.

Whoever may name an address can have this server call it, and it stands where they do not: beside databases, the clouds'
servers for metadata, routers. So what is not known to be public is not called. Spellings that some parsers read as an
address and others as a name (octal, hex, one number, a dot at the end, other scripts' digits) are refused rather than
understood: then it does not matter who reads them how.
"""

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from msgspec import Struct
from yarl import URL

Ip = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

LONGEST = 2048

# IANA's registry of special purposes, what is for many at once, and two more.
_CLOSED_4 = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",  # this host
            "10.0.0.0/8",
            "100.64.0.0/10",  # behind a carrier's NAT; Alibaba's metadata
            "127.0.0.0/8",
            "168.63.129.16/32",  # Azure's host of every virtual machine, at a public address
            "169.254.0.0/16",  # link-local, with most clouds' metadata
            "172.16.0.0/12",
            "192.0.0.0/24",  # IETF, Oracle's metadata
            "192.0.2.0/24",  # for documentation, as the next two of /24
            "192.31.196.0/24",  # AS112
            "192.52.193.0/24",  # AMT
            "192.88.99.0/24",  # relays of 6to4
            "192.168.0.0/16",
            "192.175.48.0/24",  # AS112
            "198.18.0.0/15",  # benchmarks
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved, broadcast
        ),
    )
)
# All that is public lies in here: neither loopback, ULA, link-local, multicast nor an IPv4 address that is mapped
# (::ffff:0:0/96), compatible (::/96), translated (::ffff:0:0:0/96) or behind NAT64 (64:ff9b::/96, 64:ff9b:1::/48).
_OPEN_6 = IPv6Network("2000::/3")
_CLOSED_6 = tuple(
    map(
        IPv6Network,
        (
            "2001::/23",  # IETF: Teredo, ORCHID, benchmarks
            "2001:db8::/32",  # for documentation, as 3fff
            "2002::/16",  # 6to4, with an IPv4 address in it
            "2620:4f:8000::/48",  # AS112
            "3ffe::/16",  # the old 6bone
            "3fff::/20",
        ),
    )
)

# What stands in no public DNS, or leads back to this machine or its network.
_CLOSED_NAMES = frozenset(
    {"localhost", "local", "localdomain", "internal", "intranet", "lan", "home", "corp", "private"}
    | {"arpa", "onion", "test", "invalid", "example", "alt"}
)

# Ports below these are of other services; above, those that browsers keep away from, as the Fetch standard lists them,
# and of databases and the like that take a line at a time.
_FIRST_FREE_PORT = 1024
_USUAL_PORTS = frozenset({80, 443})
_CLOSED_PORTS = frozenset(
    {1433, 1521, 1719, 1720, 1723, 2049, 2375, 2376, 2379, 2380, 3306, 3389, 3659, 4045, 4190, 5060, 5061, 5432, 5672}
    | {6000, 6379, 6566, *range(6665, 6670), 6679, 6697, 9200, 9300, 10080, 10250, 11211, 27017}
)

_LABEL = "[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*\Z")
# As the WHATWG's URL standard tells a name from an address: by its last part.
_NUMBER = re.compile(r"(?:[0-9]+|0x[0-9a-f]*)\Z")
_URL = re.compile(r"(https?)://([^/?#\\@]+)((?:[/?][!-~]*)?)\Z", re.IGNORECASE)


class NotAllowed(Exception):
    """The address cannot be called by any rule (`invalid`), or is none that people may have called (`not_allowed`)."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Allowed(Struct, frozen=True):
    """What an operator lets be called besides, by http and at any port too."""

    hosts: frozenset[str] = frozenset()
    networks: tuple[Network, ...] = ()

    def has_host(self, host: str) -> bool:
        return host in self.hosts

    def has_ip(self, ip: Ip) -> bool:
        return any(ip in network for network in self.networks)


def to_allowed(entries: Iterable[str]) -> Allowed:
    """Networks, addresses and names of hosts, as the setting has checked them."""
    hosts, networks = set(), []
    for entry in entries:
        try:
            networks.append(ip_network(entry, strict=False))
        except ValueError:
            hosts.add(entry.lower())
    return Allowed(frozenset(hosts), tuple(networks))


def is_public(ip: Ip) -> bool:
    if isinstance(ip, IPv4Address):
        return not any(ip in network for network in _CLOSED_4)
    return ip in _OPEN_6 and ip.scope_id is None and not any(ip in network for network in _CLOSED_6)


def may_call(ip: Ip, allowed: Allowed) -> bool:
    return is_public(ip) or allowed.has_ip(ip)


def check_url(text: str, allowed: Allowed) -> URL:
    """The URL to call, without having asked anybody: where its host is a name, its addresses are still to be checked.

    It is made of the very text that was checked, and it is what the client gets: no second parser reads it otherwise.
    Raises `NotAllowed`.
    """
    match = _URL.match(text) if len(text) <= LONGEST else None
    if match is None:
        raise NotAllowed("invalid")
    scheme, place, path = match[1].lower(), match[2].lower(), match[3]
    try:
        # As it is written: a path with %2F in it is another one without.
        url = URL(f"{scheme}://{place}{path}", encoded=True)
        host, port = url.raw_host, url.port
    except ValueError:
        raise NotAllowed("invalid") from None
    if not host or not port:
        raise NotAllowed("invalid")
    _check_same(place, host, url.explicit_port)
    if not _is_allowed_host(host, allowed):
        _check_host(host)
        _check_port(url.scheme, port)
    return url.with_fragment(None)


def _check_same(written: str, host: str, port: int | None) -> None:
    """The client's parser has understood the text as it stands there, and changed nothing."""
    understood = f"[{host}]" if ":" in host else host
    if written not in (understood, f"{understood}:{port}"):
        raise NotAllowed("invalid")


def _is_allowed_host(host: str, allowed: Allowed) -> bool:
    ip = to_ip(host)
    return allowed.has_host(host) if ip is None else allowed.has_ip(ip) or allowed.has_host(host)


def _check_host(host: str) -> None:
    ip = to_ip(host)
    if ip is not None:
        if not is_public(ip):
            raise NotAllowed("not_allowed")
        return
    labels = host.split(".")
    if not _NAME.match(host) or _NUMBER.match(labels[-1]):
        raise NotAllowed("invalid")
    # A name without a dot is of this network, or leads where its search list says.
    if len(labels) == 1 or labels[-1] in _CLOSED_NAMES:
        raise NotAllowed("not_allowed")


def _check_port(scheme: str, port: int) -> None:
    if scheme != "https":
        raise NotAllowed("not_allowed")
    if port in _CLOSED_PORTS or (port < _FIRST_FREE_PORT and port not in _USUAL_PORTS):
        raise NotAllowed("not_allowed")


def to_ip(host: str) -> Ip | None:
    """None for a name, and for what is no address in its usual spelling."""
    try:
        return ip_address(host)
    except ValueError:
        return None
