"""Python's collector of cyclic garbage. What a process has loaded, some half a million objects, stays as long
as the process: looking for garbage in it took a third of each start, and a sixth of each call.
"""

import contextlib
import gc
from collections.abc import Iterator

# New objects until the collector looks. At Python's own 700 it looks at a call's objects while they are used.
YOUNG_OBJECTS = 10_000


@contextlib.contextmanager
def importing() -> Iterator[None]:
    """The collector rests meanwhile, and takes all there is in the end for permanent. For imports, once or
    several times a process.
    """
    gc.disable()
    try:
        yield
    finally:
        pass_over_loaded_objects()


def pass_over_loaded_objects() -> None:
    """Ends what `gc.disable()` began: the collector takes all there is now for permanent."""
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS)
    gc.enable()
