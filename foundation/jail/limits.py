"""What a jailed process may use."""

from dataclasses import dataclass

MEGABYTE = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Limits:
    """`wall_s` is by the clock, `cpu_s` what it may compute in that. `disk_bytes` is all that it writes."""

    wall_s: float = 35.0
    cpu_s: int = 30
    memory_bytes: int = 512 * MEGABYTE
    disk_bytes: int = 256 * MEGABYTE
    output_bytes: int = 64 * MEGABYTE
    most_files: int = 2_000
