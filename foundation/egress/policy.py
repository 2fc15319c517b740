"""The policy object: what one kind of outbound call may reach, and how much it may take."""

from dataclasses import dataclass

# Ports on which other protocols answer: an HTTP request there is either a mistake or an attempt
# to make it speak to them (the WHATWG Fetch standard's list, plus databases, queues and the
# control ports of container hosts).
OTHER_PROTOCOLS = frozenset([
    1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42,
    43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104, 109, 110, 111, 113,
    115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 445, 465, 512,
    513, 514, 515, 526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636,
    989, 990, 993, 995, 1433, 1521, 1719, 1720, 1723, 2049, 2181, 2375, 2376, 2379, 2380,
    3306, 3389, 3659, 4045, 4190, 5060, 5061, 5432, 5433, 5672, 5900, 5984, 6000, 6379, 6380,
    6443, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 9042, 9092, 9300, 10080, 10250, 10255,
    11211, 26379, 27017,
])  # fmt: skip


@dataclass(frozen=True)
class EgressPolicy:
    """What may be reached. `None` for hosts means all; for ports, all but those of other protocols."""

    allow_private: bool = False
    allowed_hosts: frozenset[str] | None = None  # in lower case
    allowed_ports: frozenset[int] | None = None
    schemes: frozenset[str] = frozenset({"http", "https"})
    timeout_connect_s: float = 5.0
    timeout_read_s: float = 10.0
    timeout_total_s: float = 30.0  # of the httpx client; streams of the data plane have their own idle limit
    max_bytes: int = 10_000_000

    def permits_port(self, port: int) -> bool:
        return port in self.allowed_ports if self.allowed_ports is not None else port not in OTHER_PROTOCOLS

    def permits_host(self, host: str) -> bool:
        return self.allowed_hosts is None or host.lower() in self.allowed_hosts


PUBLIC = EgressPolicy()
PRIVATE = EgressPolicy(allow_private=True)
