# SPDX-License-Identifier: BSD-2-Clause
"""What tests of a sample of volumes have in common: the sample is another one every time, and can be
had again.

    SCRIPT PROGRAM… [COUNT [SEED]]

INTACT_SEED is a seed as well; INTACT_KEEP, a directory that stays."""

import os
import pathlib
import shutil
import sys
import tempfile
import time


def main(programs, count, run):
    """run(PROGRAM…, count, seed, directory) returns an exit status. programs: how many it wants."""
    words = sys.argv[1:]
    rest = words[programs:]
    count = int(rest[0]) if rest else count
    chance = str(time.time_ns() % 10**9)
    seed = rest[1] if len(rest) > 1 else os.environ.get("INTACT_SEED", chance)
    print(f"seed {seed}: {count} volumes", flush=True)
    keep = os.environ.get("INTACT_KEEP")
    work = pathlib.Path(keep or tempfile.mkdtemp(prefix="intact-interop."))
    try:
        work.mkdir(exist_ok=True)
        status = run(*words[:programs], count, seed, work)
    finally:
        if not keep:
            shutil.rmtree(work)
    if status == 1:
        print(f"again with: INTACT_SEED={seed}")
    return status
