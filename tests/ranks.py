"""Forked processes that talk to each other as under torchrun, for scripts that import once.

torchrun starts an interpreter per process, and each imports everything again; a fork costs nothing.
"""

from __future__ import annotations

import os
import socket
import sys
import traceback
from collections.abc import Callable


def fork_ranks(count: int, work: Callable[[int], None]) -> list[int]:
    """Run `work(rank)` in `count` processes; return how each ended: 0, exit code, or -signal."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
    children = []
    for rank in range(count):
        child = os.fork()
        if child == 0:
            os.environ |= {
                "RANK": str(rank),
                "LOCAL_RANK": str(rank),
                "WORLD_SIZE": str(count),
                "LOCAL_WORLD_SIZE": str(count),
                "MASTER_ADDR": "127.0.0.1",
                "MASTER_PORT": str(port),
            }
            code = 1
            try:
                work(rank)
                code = 0
            except SystemExit as leave:
                code = int(leave.code or 0)
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stdout.flush()  # which leaving in this way does not
                sys.stderr.flush()
                os._exit(code)
        children.append(child)
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
