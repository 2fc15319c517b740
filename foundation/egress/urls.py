"""Reading a URL so strictly that every later reader must understand the same host.

Guards against: user names before the host, backslashes, control characters and spaces, percent signs and
other alphabets in the host, IPv4 addresses in decimal, octal, hexadecimal or short form, zone ids, fragments,
ports of other protocols, and addresses that no policy permits.
Does not guard against: what a name resolves to (foundation.egress.resolving, at each connect).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from foundation.egress.networks import Reach, classify
from foundation.egress.policy import EgressPolicy
from foundation.errors import InvalidInput
from foundation.told import gettext as _

MAX_LENGTH = 2_000
_URL = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<authority>[^/?]*)(?P<rest>[/?].*)?", re.IGNORECASE)
_AUTHORITY = re.compile(r"(?P<host>\[[0-9a-f:.]+\]|[^\[\]:]+)(?::(?P<port>[0-9]{1,5}))?", re.IGNORECASE)
# underscores: names of containers have them
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?", re.IGNORECASE)
# what the WHATWG URL standard reads as part of an IPv4 address
_NUMBER_LIKE = re.compile(r"[0-9]+|0x[0-9a-f]*", re.IGNORECASE)
_DEFAULT_PORTS = {"http": 80, "https": 443}
# Names under which clouds hand out credentials; also caught by their address, but not where a
# proxy of the site answers for them.
METADATA_NAMES = frozenset(
    {
        "metadata",
        "metadata.google.internal",
        "metadata.goog",
        "metadata.azure.com",
        "instance-data",
        "instance-data.ec2.internal",
        "metadata.tencentyun.com",
        "metadata.platformequinix.com",
    }
)


@dataclass(frozen=True, slots=True)
class Target:
    """A URL taken apart. `url` is it put together again: lower-case scheme and host, no default port."""

    scheme: str
    host: str  # without brackets
    port: int
    path: str
    address: IPv4Address | IPv6Address | None  # where the host is an address

    @property
    def url_host(self) -> str:
        """The host as it stands in a URL."""
        return f"[{self.host}]" if ":" in self.host else self.host

    @property
    def url(self) -> str:
        port = "" if _DEFAULT_PORTS[self.scheme] == self.port else f":{self.port}"
        return f"{self.scheme}://{self.url_host}{port}{self.path}"

    @property
    def origin(self) -> tuple[str, str, int]:
        return self.scheme, self.host, self.port

    @property
    def names_loopback(self) -> bool:
        return names_loopback(self.host)

    @property
    def names_private(self) -> bool:
        """Whether the URL itself, without resolving, says that it leads to
        this machine or a private network.
        """
        return self.names_loopback or (self.address is not None and classify(self.address) is Reach.PRIVATE)


def names_loopback(host: str) -> bool:
    """Whether a host says by itself that it is this machine: `localhost`, `*.localhost` or a loopback
    address.
    """
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return classify(host) is Reach.LOOPBACK
    except ValueError:
        return False


def _invalid(message: str, code: str = "invalid_url") -> InvalidInput:
    return InvalidInput(message, code=code, param="url")


def _wrong_scheme(scheme: str, allowed: Iterable[str]) -> InvalidInput:
    message = _("Addresses that start with “%(scheme)s:” are not allowed here, only: %(allowed)s.")
    return _invalid(message % {"scheme": scheme, "allowed": ", ".join(sorted(allowed))})


def parse_url(url: str) -> Target:
    """Take a URL apart. Raises InvalidInput for any form that two programs might read differently."""
    if len(url) > MAX_LENGTH:
        raise _invalid(_("The address is longer than %(limit)d characters.") % {"limit": MAX_LENGTH})
    if "://" not in url:  # in plain words, whatever else it may hold
        raise _invalid(_("This is not a web address. It has the form https://host:port/path."))
    if any(not 0x21 <= ord(character) <= 0x7E for character in url):
        raise _invalid(
            _(
                "The address holds a space, a control character or a letter outside ASCII. Write such names "
                "in punycode (xn--…)."
            )
        )
    match = _URL.fullmatch(url)
    if match is None or "\\" in url:
        raise _invalid(_("This is not a web address. It has the form https://host:port/path."))
    if "@" in match["authority"]:
        raise _invalid(_("The address must not hold a user name or a password."))
    if "#" in url:
        raise _invalid(_("The address must not hold a “#” part."))
    parts = _AUTHORITY.fullmatch(match["authority"])
    if parts is None:
        raise _invalid(_("The host or the port in the address is not valid."))
    scheme = match["scheme"].lower()
    if scheme not in _DEFAULT_PORTS:
        raise _wrong_scheme(scheme, _DEFAULT_PORTS)
    host, address = _read_host(parts["host"].lower())
    port = int(parts["port"]) if parts["port"] else _DEFAULT_PORTS[scheme]
    if not 1 <= port <= 65_535:
        raise _invalid(_("The port must be between 1 and 65535."))
    return Target(scheme, host, port, match["rest"] or "", address)


def _read_host(host: str) -> tuple[str, IPv4Address | IPv6Address | None]:
    if host.startswith("["):
        try:
            address = IPv6Address(host[1:-1])
        except ValueError:
            raise _invalid(_("“%(host)s” is not an IPv6 address.") % {"host": host}) from None
        return str(address), address
    labels = host.split(".")
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise _invalid(_("“%(host)s” is not a host name.") % {"host": host[:80]})
    if _NUMBER_LIKE.fullmatch(labels[-1]):
        try:
            v4 = IPv4Address(host)  # four decimal numbers without leading zeros, nothing else
        except ValueError:
            raise _invalid(
                _("“%(host)s” is not an IPv4 address in its usual form, such as 192.0.2.10.")
                % {"host": host[:80]}
            ) from None
        return str(v4), v4
    return host, None


def check_url(url: str, policy: EgressPolicy) -> Target:
    """Take a URL apart and hold it against a policy, without resolving. Raises InvalidInput."""
    target = parse_url(url)
    if target.scheme not in policy.schemes:
        raise _wrong_scheme(target.scheme, policy.schemes)
    check_host(target.host, target.port, policy)
    return target


def check_host(host: str, port: int, policy: EgressPolicy) -> None:
    """Hold a host and port against a policy, without resolving. Raises InvalidInput; cheap."""
    host = host.lower().rstrip(".")
    if host in METADATA_NAMES or not policy.permits_host(host):
        raise _invalid(_("The host “%(host)s” is not allowed.") % {"host": host}, "egress_refused")
    if not policy.permits_port(port):
        raise _invalid(
            _("Port %(port)d is not allowed for web addresses.") % {"port": port}, "egress_refused"
        )
    if names_loopback(host):
        reach = Reach.LOOPBACK
    else:
        try:
            reach = classify(host)
        except ValueError:
            return  # a name: what it resolves to is checked at each connect
    check_reach(host, reach, policy)


def check_reach(host: str, reach: Reach, policy: EgressPolicy) -> None:
    """Raise InvalidInput unless the policy permits where a host leads."""
    if reach is Reach.FORBIDDEN:
        raise _invalid(
            _("“%(host)s” leads to an address that must never be called.") % {"host": host}, "egress_refused"
        )
    if reach is not Reach.PUBLIC and not policy.allow_private:
        message = _(
            "“%(host)s” leads into a private network. Ask the operator of the platform, who alone "
            "can allow that."
        )
        raise _invalid(message % {"host": host}, "egress_private")
