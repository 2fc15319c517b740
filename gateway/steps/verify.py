"""Behind step 4: is the form that an answer is to have one at all? Somebody's schema takes long to check, so
that is done for calls that were counted and have their place, and in threads of its own, of which there are
few: long answers are read in others, and do not wait for it.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from gateway.calls import Call

MOST_AT_ONCE = 2

_threads = ThreadPoolExecutor(MOST_AT_ONCE, thread_name_prefix="forms")


async def verify(call: Call) -> None:
    """Raises InvalidInput."""
    form = call.form
    if form is None:
        return
    if form.is_known:
        form.verify()
    else:
        await asyncio.get_running_loop().run_in_executor(_threads, form.verify)
