"""Addresses that lead, for some reader somewhere, to this machine, the neighbours or a cloud's credentials:
made of few targets and many ways to write them.

`forms(port)` gives (URL, answers of the name server or None). Whoever owns a name owns its answers, so every
name that no script names leads to this machine (tests.proof.outgoing).
"""

from collections.abc import Iterator
from ipaddress import IPv4Address

PUBLIC_ADDRESS = "93.184.215.14"  # the one that scripted names may lead to
TARGETS = [
    "127.0.0.1",
    "127.255.255.254",
    "0.0.0.0",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.0.1",
    "100.64.0.1",  # carriers' NAT
    "169.254.169.254",  # credentials: most clouds
    "100.100.100.200",  # Alibaba
    "168.63.129.16",  # Azure
    "192.0.0.192",  # Oracle
]
FULL_WIDTH, CIRCLED = "０１２３４５６７８９", "⓪①②③④⑤⑥⑦⑧⑨"
ARABIC, BOLD = "٠١٢٣٤٥٦٧٨٩", "𝟎𝟏𝟐𝟑𝟒𝟓𝟔𝟕𝟖𝟗"
METADATA = ["metadata", "metadata.google.internal", "metadata.goog", "instance-data", "metadata.azure.com"]
SEVERAL = ["127.0.0.1", "169.254.169.254", "localhost"]
# {h} is the target, {p} the listener's port
SPELLINGS = [
    "http://example.com@{h}:{p}/v1", "http://user:pw@{h}:{p}/v1", "http://%40{h}:{p}/v1",
    "http://@{h}:{p}/v1", "http://example.com:80@{h}:{p}/v1", "http://{h}:{p}\\@example.com/v1",
    "http://example.com\\@{h}:{p}/v1", "http://{h}:{p}#@example.com/",
    "http://example.com#@{h}:{p}/", "http://{h}:{p}?@example.com/", "http:/{h}:{p}/v1",
    "http:{h}:{p}/v1", "http:///{h}:{p}/v1", "http:////{h}:{p}/v1", "//{h}:{p}/v1",
    "\\\\{h}:{p}/v1", "http:\\\\{h}:{p}/v1", "http:/\\{h}:{p}/v1", "{h}:{p}/v1",
    "http:%2f%2f{h}:{p}/v1", "http://{h}%2f@example.com:{p}/", "http://{h}%2f.example.com:{p}/",
    "http://{h}%00.example.com:{p}/", "http://{h}%23.example.com:{p}/",
    "http://{h}%0d%0a.example.com:{p}/", "http://{h}\t:{p}/v1", "http://\n{h}:{p}/v1",
    "ht\ntp://{h}:{p}/v1", "\x01http://{h}:{p}/v1", "http://{h}\x00.example.com:{p}/",
    "http:／／{h}:{p}/v1", "http://{h}／.example.com:{p}/", "http://example.com＠{h}:{p}/v1",
    "http://{h}：{p}/v1", "http://\u200b{h}:{p}/v1", "http://{h}\u00ad:{p}/v1",
    "http://{h}.:{p}/v1", "http://{h}..:{p}/v1", "http://.{h}:{p}/v1", "http://[{h}]:{p}/v1",
    "http://{h}:{p}:80/v1", "http://{h}:0{p}/v1", "http://{h}:+{p}/v1", "http://{h}: {p}/v1",
    "http://{h},example.com:{p}/v1", "http://{h};example.com:{p}/v1",
    "http://{h}&@example.com:{p}/v1", "http://example.com,{h}:{p}/v1", "HTTP://{h}:{p}/v1",
    "hTtPs://{h}:{p}/v1", "ws://{h}:{p}/v1", "ftp://{h}:{p}/v1", "gopher://{h}:{p}/v1",
    "file://{h}:{p}/v1", "dict://{h}:{p}/v1", "jar:http://{h}:{p}/v1", "url:http://{h}:{p}/v1",
    "http+unix://{h}:{p}/v1", "http://example.com:{p}/../@{h}:{p}/v1",
    "http://example.com/?u=http://{h}:{p}/",
]  # fmt: skip


def _digits(text: str, alphabet: str) -> str:
    return text.translate(str.maketrans("0123456789", alphabet))


def _written_v4(address: str) -> Iterator[str]:
    """One IPv4 address as resolvers, browsers and old libraries read it."""
    number, parts = int(IPv4Address(address)), [int(part) for part in address.split(".")]
    a, b, c, d = parts
    yield from (address, f"{address}.", str(number), hex(number), f"0X{number:X}", f"0x{number:016x}")
    yield from (f"0{number:o}", str(number + 2**32), f"{a}.{number & 0xFFFFFF}", f"{a}.{b}.{number & 0xFFFF}")
    yield from (f"0x{a:x}.{b}.{c}.{d}", f"{a}.0x{number & 0xFFFFFF:x}", f"0{a:o}.{number & 0xFFFFFF}")
    yield ".".join(f"0x{part:x}" for part in parts)
    yield ".".join(f"0{part:o}" for part in parts)
    yield ".".join(f"{part:03}" for part in parts)
    yield ".".join(str(part + 256) for part in parts)
    yield from (_digits(address, alphabet) for alphabet in (FULL_WIDTH, CIRCLED, ARABIC, BOLD))
    yield from (address.replace(".", dot) for dot in ("。", "．", "｡", "․", "%2e", "%252e"))
    yield "".join(f"%{ord(letter):02x}" for letter in address)
    yield from (f"{address}.nip.io", f"{address.replace('.', '-')}.sslip.io", f"xn--{address}")


def _written_v6(address: str) -> Iterator[str]:
    """One IPv4 address inside IPv6 ones: mapped, compatible, SIIT, NAT64, 6to4, Teredo, ISATAP."""
    number = int(IPv4Address(address))
    words, inverted = f"{number >> 16:x}:{number & 0xFFFF:x}", number ^ 0xFFFFFFFF
    yield from (f"[::ffff:{address}]", f"[::ffff:{words}]", f"[0:0:0:0:0:FFFF:{words}]", f"[::{address}]")
    yield from (f"[::{words}]", f"[::ffff:0:{address}]", f"[::ffff:0:{words}]", f"[64:ff9b::{address}]")
    yield from (f"[64:ff9b::{words}]", f"[64:ff9b:1::{words}]", f"[64:ff9b:1:ffff::{words}]")
    yield from (f"[2002:{words}::]", f"[2002:{words}::{words}]", f"[fe80::5efe:{words}]")
    yield from (f"[2001:0:{words}::]", f"[2001:0:4136:e378:0:0:{inverted >> 16:x}:{inverted & 0xFFFF:x}]")
    yield from (f"[::ffff:{address}%25lo]", f"[::ffff:{words}%lo]")


OTHER_HOSTS = [
    "localhost", "LOCALHOST", "localhost.", "a.localhost", "localhost.localdomain",
    "ip6-localhost", "ⓛocalhost", "loc\u200balhost", "loc\u00adalhost", "%6c%6f%63alhost",
    "ＬＯＣＡＬＨＯＳＴ", "localhoſt", "[::1]", "[::]", "[0:0:0:0:0:0:0:1]", "[::1%25lo]", "[::1%lo]",
    "[::0001]", "[0::1]", "::1", "[fe80::1]", "[fe80::1%25eth0]", "[fec0::1]", "[feff::1]",
    "[fc00::1]", "[fd00::1]", "[ff02::1]", "[ff0e::1]", "[fd00:ec2::254]", "[100::1]",
    "[fd20:ce::254]", "[4000::1]", "[5f00::1]", "[v1.x]", "0", "0x", "0x0", "00000000", "127.1",
    "127.0.1", "*", "", "-", "224.0.0.1", "255.255.255.255", "%", "[", "]", "[]", "[[::1]]",
    "[127.0.0.1]", "[0x7f000001]",
]  # fmt: skip


def _other_hosts() -> Iterator[str]:
    yield from OTHER_HOSTS
    for name in METADATA:
        yield from (name, name.upper(), f"{name}.", name.replace("a", "%61"), name.replace("a", "ａ"))


def _scripted(port: int) -> Iterator[tuple[str, list[list[str]]]]:
    """Names, and what a name server says of them when it is asked for the first, the second … time."""
    inside = [*TARGETS, *(form.strip("[]") for form in _written_v6("127.0.0.1") if "%25" not in form)]
    inside += ["::1", "fe80::1%lo", "fec0::1", "fd00:ec2::254"]
    for number, address in enumerate(inside):
        yield f"http://leads-in-{number}.example:{port}/v1", [[address]]
        yield f"http://mixed-{number}.example:{port}/v1", [[PUBLIC_ADDRESS, address]]
        yield f"http://rebinds-{number}.example:{port}/v1", [[PUBLIC_ADDRESS], [address]]


def forms(port: int) -> Iterator[tuple[str, list[list[str]] | None]]:
    """All of them, each once; the same at each run."""
    hosts = [form for target in TARGETS for write in (_written_v4, _written_v6) for form in write(target)]
    found = dict.fromkeys(f"http://{host}:{port}/v1" for host in [*hosts, *_other_hosts()])
    found |= dict.fromkeys(spelling.format(h=one, p=port) for one in SEVERAL for spelling in SPELLINGS)
    yield from found.items()
    yield from _scripted(port)
