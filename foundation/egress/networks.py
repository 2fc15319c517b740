"""What an address reaches: the internet, a private network, this machine, or nothing that an application
should talk to.

Covers: IANA's special-purpose registries for IPv4 and IPv6 (2025), every way to write an IPv4 address
inside an IPv6 one, and the addresses at which clouds hand out credentials. An own table, because the
standard library answers `is_global` for 64:ff9b::/96, 2002::/16, ::/96, fec0::/10 and multicast, and
not `is_private` for 100.64.0.0/10.
Does not cover: a public address that the site's own routers lead inside; that is the firewall's task.
"""

import enum
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network


class Reach(enum.Enum):
    PUBLIC = "public"
    PRIVATE = "private"  # another machine of the site: only where the platform's operator allows it
    LOOPBACK = "loopback"  # this machine: as PRIVATE, and only if the URL itself says so
    FORBIDDEN = "forbidden"  # never


def _networks(*texts: str):
    return tuple(ip_network(text) for text in texts)


_LOOPBACK = _networks("127.0.0.0/8", "::1/128")
_FORBIDDEN = _networks(
    # Credentials of clouds: link-local (AWS, Azure, GCP, DigitalOcean), Alibaba, Azure's wire
    # server, Oracle, AWS and GCP over IPv6.
    "169.254.0.0/16",
    "100.100.100.200/32",
    "168.63.129.16/32",
    "192.0.0.0/24",
    "fd00:ec2::254/128",
    "fd20:ce::254/128",
    # "This network", documentation, 6to4 relays, multicast, reserved, broadcast.
    "0.0.0.0/8",
    "192.0.2.0/24",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "192.88.99.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    # IPv4 in IPv6: compatible, mapped, SIIT, NAT64 (well-known and local),
    # Teredo and the rest of 2001::/23, 6to4.
    "::/96",
    "::ffff:0:0/96",
    "::ffff:0:0:0/96",
    "64:ff9b::/96",
    "64:ff9b:1::/48",
    "2001::/23",
    "2002::/16",
    # Documentation, link-local, the old site-local, multicast.
    "2001:db8::/32",
    "3fff::/20",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
)
_PRIVATE = _networks(
    "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "198.18.0.0/15", "fc00::/7"
)
# all that has been given out; the rest of IPv6 leads nowhere, or somewhere unexpected
_PUBLIC_V6 = ip_network("2000::/3")


def classify(address: str | IPv4Address | IPv6Address) -> Reach:
    """Where an address leads. Raises ValueError if the text is not one; a zone id (`fe80::1%eth0`) is
    forbidden.
    """
    parsed = ip_address(address)
    if getattr(parsed, "scope_id", None):
        return Reach.FORBIDDEN
    for reach, networks in (
        (Reach.LOOPBACK, _LOOPBACK),
        (Reach.FORBIDDEN, _FORBIDDEN),
        (Reach.PRIVATE, _PRIVATE),
    ):
        if any(parsed in network for network in networks if network.version == parsed.version):
            return reach
    return Reach.FORBIDDEN if parsed.version == 6 and parsed not in _PUBLIC_V6 else Reach.PUBLIC
