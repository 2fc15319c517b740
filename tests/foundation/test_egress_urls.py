"""Which addresses may be called at all, however they are written (S14 of docs/proofs.md)."""

import pytest

from foundation import egress
from foundation.egress import PRIVATE, PUBLIC, EgressPolicy, Reach, parse_url
from foundation.errors import InvalidInput

PORT = 8_443

# Every way to write "this machine", "the neighbours" or "the cloud's credentials"
# that a parser somewhere understands.
HOSTS_NEVER_PUBLIC = [
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "127.000.000.001",
    "0127.0.0.1",
    "0177.0.0.1",
    "0x7f.0.0.1",
    "0x7f.1",
    "0x7f000001",
    "0X7F000001",
    "2130706433",
    "017700000001",
    "127.0.0.1.",
    "127.255.255.254",
    "0",
    "0.0.0.0",
    "0.0.0.1",
    "00000000",
    "0x0",
    "0x",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "a.localhost",
    "x.y.localhost",
    "10.0.0.1",
    "10.1",
    "167772161",
    "10.255.255.255",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.0.1",
    "192.168.257",
    "3232235521",
    "0xc0a80001",
    "100.64.0.1",
    "100.127.255.255",
    "100.100.100.200",
    "169.254.169.254",
    "169.254.0.1",
    "2852039166",
    "0xa9fea9fe",
    "0251.0376.0251.0376",
    "169.254.43518",
    "169.16689662",
    "168.63.129.16",
    "192.0.0.192",
    "192.0.2.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.9",
    "192.88.99.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "256.256.256.256",
    "1.2.3.4.5",
    "1.2.3",
    "1..2.3",
    "4294967296",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[::]",
    "[::127.0.0.1]",
    "[::7f00:1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::FFFF:7F00:0001]",
    "[::ffff:169.254.169.254]",
    "[::ffff:a9fe:a9fe]",
    "[0:0:0:0:0:ffff:a9fe:a9fe]",
    "[::ffff:8.8.8.8]",
    "[::ffff:0:127.0.0.1]",
    "[::ffff:0:8.8.8.8]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b::a9fe:a9fe]",
    "[64:ff9b::8.8.8.8]",
    "[64:ff9b:1::1]",
    "[2002:7f00:1::]",
    "[2002:a9fe:a9fe::]",
    "[2002:808:808::]",
    "[2001::1]",
    "[2001:0:7f00:1::]",
    "[2001:10::1]",
    "[2001:db8::1]",
    "[3fff::1]",
    "[fe80::1]",
    "[fe80::1%25eth0]",
    "[fe80::1%eth0]",
    "[febf::1]",
    "[fec0::1]",
    "[feff::1]",
    "[fc00::1]",
    "[fd00::1]",
    "[fd00:ec2::254]",
    "[fd20:ce::254]",
    "[ff02::1]",
    "[ff0e::1]",
    "[100::1]",
    "[4000::1]",
    "[5f00::1]",
    "[::1",
    "::1]",
    "[::1]]",
    "[[::1]]",
    "[]",
    "[v1.x]",
    "[1.2.3.4]",
    "metadata.google.internal",
    "METADATA.google.internal",
    "metadata",
    "instance-data",
    "metadata.goog",
    "１２７.0.0.1",
    "127。0。0。1",
    "①②⑦.⓪.⓪.①",
    "ⓛocalhost",
    "loc\u200balhost",
    "%6c%6f%63alhost",
    "127%2e0.0.1",
    "localhost%00.example.com",
    "exam ple.com",
    "example.com\\",
    "-example.com",
    "example-.com",
    ".example.com",
    "example..com",
    "",
    "*",
    "exa$mple.com",
    "example.com,127.0.0.1",
    "a" * 64 + ".com",
]
URLS_NEVER_READ = [
    "http://user@example.com",
    "http://user:pw@example.com",
    "http://example.com@127.0.0.1",
    "http://127.0.0.1#@example.com",
    "http://example.com#frag",
    "http://example.com\\@127.0.0.1",
    "http:\\\\127.0.0.1",
    "http://example.com\\127.0.0.1",
    "http:/127.0.0.1",
    "http:///127.0.0.1",
    "http:127.0.0.1",
    "//127.0.0.1",
    "127.0.0.1",
    "",
    " ",
    "http://",
    "://example.com",
    "http://example.com:0",
    "http://example.com:65536",
    "http://example.com:-1",
    "http://example.com:+80",
    "http://example.com:8 0",
    "http://example.com:080000",
    "http://example.com:",
    "http://example.com:http",
    "http://example.com:1:2",
    " http://example.com",
    "http://example.com ",
    "http://example.com\r\nX: y",
    "http://example.com/\x00",
    "http://example.com/\t",
    "http://exämple.com",
    "http://example.com/ä",
    "ht\ntp://example.com",
    "http://example.com/" + "a" * 2_000,
    "http://[::1]:80:80/",
    "http://[::1].example.com/",
]
SCHEMES_REFUSED = [
    "file:///etc/passwd",
    "gopher://example.com/",
    "ftp://example.com/",
    "ws://example.com/",
    "unix://example.com/",
    "data://example.com/",
    "jar://example.com/",
]


@pytest.mark.parametrize("host", HOSTS_NEVER_PUBLIC)
def test_a_tenant_reaches_no_private_or_ambiguous_host(host):
    for url in (f"http://{host}/v1", f"https://{host}:{PORT}/v1"):
        with pytest.raises(InvalidInput) as refusal:
            egress.check_url(url, PUBLIC)
        assert refusal.value.param == "url"


@pytest.mark.parametrize("url", URLS_NEVER_READ + SCHEMES_REFUSED)
def test_urls_that_two_programs_may_read_differently_are_refused(url):
    with pytest.raises(InvalidInput):
        egress.check_url(url, PRIVATE)


@pytest.mark.parametrize(
    ("url", "canonical"),
    [
        ("https://api.openai.com/v1", "https://api.openai.com/v1"),
        ("HTTPS://API.OpenAI.com:443/v1", "https://api.openai.com/v1"),
        ("http://example.com", "http://example.com"),
        ("https://xn--exmple-cua.com/a?b=c@d", "https://xn--exmple-cua.com/a?b=c@d"),
        ("https://my_container.example.com:8443", "https://my_container.example.com:8443"),
        ("https://8.8.8.8/", "https://8.8.8.8/"),
        ("https://[2606:4700::1111]:8443/x", "https://[2606:4700::1111]:8443/x"),
        ("https://1.2.3.4.example.com", "https://1.2.3.4.example.com"),
    ],
)
def test_public_addresses_are_read_and_put_into_one_form(url, canonical):
    assert egress.check_url(url, PUBLIC).url == canonical


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:11434/v1",
        "http://localhost:1234",
        "http://[::1]:9000",
        "http://10.1.2.3",
        "http://192.168.1.1:8000",
        "http://[fd00::1]",
    ],
)
def test_private_addresses_are_open_where_the_operator_allows_them(url):
    assert egress.check_url(url, PRIVATE).names_private


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254",
        "[fe80::1]",
        "100.100.100.200",
        "168.63.129.16",
        "[fd00:ec2::254]",
        "0.0.0.0",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "[fec0::1]",
        "224.0.0.1",
        "[ff02::1]",
        "255.255.255.255",
        "metadata.google.internal",
    ],
)
def test_credentials_of_clouds_and_disguised_addresses_stay_closed_to_everyone(host):
    with pytest.raises(InvalidInput) as refusal:
        egress.check_url(f"http://{host}/", PRIVATE)
    assert refusal.value.code == "egress_refused"


@pytest.mark.parametrize("port", [22, 25, 53, 110, 2375, 3306, 5432, 6379, 10250, 11211, 27017])
def test_ports_of_other_protocols_are_closed(port):
    with pytest.raises(InvalidInput):
        egress.check_url(f"https://example.com:{port}", PRIVATE)


def test_a_policy_may_name_hosts_ports_and_schemes():
    policy = EgressPolicy(
        allowed_hosts=frozenset({"api.example.com"}),
        allowed_ports=frozenset({443}),
        schemes=frozenset({"https"}),
    )
    assert egress.check_url("https://API.example.com/v1", policy)
    for url in (
        "https://www.example.com/v1",
        "https://api.example.com:8443/v1",
        "http://api.example.com:443/v1",
    ):
        with pytest.raises(InvalidInput):
            egress.check_url(url, policy)


def test_the_refusal_of_a_private_address_says_who_can_allow_it():
    with pytest.raises(InvalidInput, match="Ask the operator") as refusal:
        egress.check_url("http://192.168.0.1", PUBLIC)
    assert refusal.value.code == "egress_private"


@pytest.mark.parametrize(
    ("address", "reach"),
    [
        ("8.8.8.8", Reach.PUBLIC),
        ("100.63.255.255", Reach.PUBLIC),
        ("100.128.0.0", Reach.PUBLIC),
        ("172.15.255.255", Reach.PUBLIC),
        ("172.32.0.0", Reach.PUBLIC),
        ("::1", Reach.LOOPBACK),
        ("127.9.9.9", Reach.LOOPBACK),
        ("fdff::1", Reach.PRIVATE),
        ("fe80::1%lo", Reach.FORBIDDEN),
        ("2606:4700::1", Reach.PUBLIC),
    ],
)
def test_borders_of_the_ranges(address, reach):
    assert egress.classify(address) is reach


@pytest.mark.parametrize("text", ["not a url", "häuser", "", "api.example.com/v1"])
def test_what_has_no_form_of_an_address_is_told_that_first(text):
    with pytest.raises(InvalidInput, match="This is not a web address"):
        parse_url(text)


def test_an_address_with_letters_outside_ascii_is_told_what_to_write():
    with pytest.raises(InvalidInput, match="punycode"):
        parse_url("https://häuser.example/v1")
