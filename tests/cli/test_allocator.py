"""Memory of a process that serves others."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import gc, os, pathlib, sys
from nbvlm.cli.allocator import give_memory_back

def resident():
    pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") >> 20

give_memory_back()
filled = b"x" * (31 << 20)
del filled  # from now on glibc takes blocks of this size out of its heap
below = [b"x" * (8 << 20) for _ in range(10)]
above = b"x" * (8 << 20)
before = resident()
del below
gc.collect()
print(before - resident())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the setting is glibc's")
def test_large_blocks_go_back_to_the_system_although_others_are_in_use():
    # Without the call glibc may keep them, or not, by what else it holds.
    done = subprocess.run([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True, check=True)
    assert int(done.stdout) > 70
