#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Volumes that Intact made, wrote to, and shut down or not, in the hands of a real kernel.

Each is formatted by `intact format` and written to by load.c, through the library's public
interface. Some are shut down; of others the writer is killed at a random moment. Then the kernel
activates them, in this mode or another one, and reads every block: what was flushed is there, every
block has one of the versions that it may have, and no block fails verification (in mode D, none whose
last write was flushed). What the kernel leaves behind, Intact finds clean.

	engine-in-kernel.py GUEST LOAD [COUNT [SEED]]

Environment: INTACT, the command. INTACT_SEED, as SEED. INTACT_KEEP, a directory for the volumes.
INTACT_REQUIRE_UML=1 fails where there is no User-Mode Linux, instead of 77.
"""

import concurrent.futures
import json
import os
import random
import shutil
import subprocess
import sys
import time

sys.dont_write_bytecode = True  # not into the source tree

import kernel
import matrix
import sample
from record import Record
from volume import (CLEAN, DAMAGED, Failure, Intact, Superblock, expect, expect_consistent, ranges_of)

DIMENSIONS = matrix.DIMENSIONS | {
    "state": [
        "J-shut", "J-killed", "B-killed", "D-shut", "J-killed", "B-shut", "D-killed", "J-killed",
        "B-killed", "B-killed-unknown-granularity",
    ],
    "open": ["same", "same", "J", "D", "B"],
    "journal": [1, 100, 300, 700, 1500],
    "discards": [False, False, True],
    "timers": ["usual", "short"],
    "watermark": [None, 0, 50, 90, 100],
}


def possible(v):
    mode = v["state"][0]
    # With journal_crypt the kernel's bitmap never reaches the disk (docs/format.md section 7).
    if (mode == "B" or v["open"] == "B") and v["crypt"]:
        return False
    if v["meta"] and (v["interleave"] or v["start"] > 64):
        return False
    return True


class Volume(matrix.Volume):
    """One that Intact makes; of the kernel it has the shell lines to judge it."""

    def __init__(self, number, choice, dice):
        super().__init__(number, choice, dice)
        self.killed = "killed" in self.state
        self.requests = dice.choice([50, 300, 600])
        self.load_seed = dice.randrange(1 << 30)
        self.kill_at_bytes = dice.choice([0, 30, 500, 2000, 10000, 30000])  # of the record

    def options(self, mode):
        more = ["allow_discards"] if self.discards else []
        # The kernel recalculates keyed hashes only when it is told to, or the superblock has a MAC.
        if self.mode == "B" or mode == "B":
            more.append("legacy_recalculate")
        if mode == "J" and self.watermark is not None:
            more.append(f"journal_watermark:{self.watermark}")
        if mode == "J" and self.timers == "short":
            more.append("commit_time:10")
        if mode == "B":
            more.append("sectors_per_bit:64")
        if mode == "B" and self.timers == "short":
            more.append("bitmap_flush_interval:20")
        return more

    def table(self, mode, length):
        return f"0 {length} integrity DEVICE {self.arguments(mode, *self.options(mode))}"

    def script(self):
        return [f"OUT=$PWD/{self.name}", "KEEP_AFTER=yes", "given out",
                f'judge out "{self.arguments(self.judged, *self.options(self.judged))}"'
                f" {self.length} {self.spb}"]


# ---- What Intact does


def command(*words):
    done = subprocess.run([os.environ["INTACT"], *words], capture_output=True, timeout=120)
    if done.returncode != 0:
        raise Failure(f"intact {words[0]}: {done.stderr.decode().strip()}")
    return done.stdout


def format_volume(v, directory):
    directory.mkdir()
    v.files = [directory / name for name in (["meta", "image"] if v.meta else ["image"])]
    for file in v.files:
        sectors = v.meta_sectors if file.name == "meta" else v.sectors
        with open(file, "wb") as f:
            f.truncate(sectors * 512)
    v.more = ["--data-device", str(v.files[1])] if v.meta else []
    command("format", "--table", v.table(v.mode, 0), *v.more, str(v.files[0]))
    v.length = Superblock(v.files[0], v.start).provided


def kill_later(process, record, record_bytes):
    """At once with 0: it may be opening the volume still."""
    for _ in range(2000):
        if process.poll() is not None or not record_bytes:
            break
        if record.exists() and record.stat().st_size >= record_bytes:
            break
        time.sleep(0.005)
    time.sleep(random.random() * 0.03)
    process.kill()


def load_volume(v, load, directory):
    requests = 0 if v.killed else v.requests
    data = v.files[1] if v.meta else "-"
    (directory / "record").touch()  # who is killed early has none
    process = subprocess.Popen([load, v.table(v.mode, v.length), v.files[0], data, str(v.load_seed),
                                str(requests), directory / "record"], stderr=subprocess.PIPE)
    if v.killed:
        kill_later(process, directory / "record", v.kill_at_bytes)
    _, err = process.communicate(timeout=240)
    expect("end of load, " + err.decode().strip(), process.returncode, -9 if v.killed else 0)


def forget_granularity(v):
    """As it is for a moment between bitmap and journal: everything counts as dirty."""
    if v.mac and v.salt:
        return
    with open(v.files[0], "r+b") as f:
        f.seek(v.start * 512 + 29)
        f.write(b"\xff")


def make(v, load, directory):
    format_volume(v, directory)
    load_volume(v, load, directory)
    if v.state.endswith("unknown-granularity"):
        forget_granularity(v)


# ---- What came of it


def expect_after(v, verdict, directory):
    """Intact reads what the kernel has left."""
    names = ["after-meta", "after"] if v.meta else ["after"]
    files = [str(directory / name) for name in names]
    more = ["--data-device", files[1]] if v.meta else []
    intact = Intact(files, verdict.table, more)
    status, check = intact.run_json("check")
    expect_consistent(status, check)
    expect("check of what the kernel leaves", status, DAMAGED if verdict.unreadable else CLEAN)
    expect("its journal", check["journal"]["state"] in ("empty", "replay"), True)
    out = directory / "read"
    intact.run("read", "--ignore-mismatches", "-o", str(out))
    ours = out.read_bytes()
    differ = {s for s in range(verdict.length)
              if ours[s * 512:s * 512 + 512] != verdict.contents[s * 512:s * 512 + 512]}
    expect("sectors that read otherwise", ranges_of(differ - verdict.unreadable), [])
    intact.expect_untouched()


def integritysetup_dump(path):
    done = subprocess.run(["integritysetup", "dump", path], capture_output=True, timeout=60)
    if done.returncode != 0:
        raise Failure(f"integritysetup dump: {done.stderr.decode().strip()}")
    lines = [line.split() for line in done.stdout.decode().splitlines()]
    return {words[0]: words[1:] for words in lines if words}


def expect_dump(v):
    """integritysetup reads superblocks at the beginning of a device only."""
    if v.start or not shutil.which("integritysetup"):
        return
    theirs = integritysetup_dump(v.files[0])
    ours = json.loads(command("dump", "--json", "--table", v.table(v.mode, v.length), *v.more,
                              str(v.files[0])))["superblock"]
    pairs = {"superblock_version": "version", "integrity_tag_size": "tag_size",
             "journal_sections": "journal_sections", "sector_size": "block_size",
             "provided_data_sectors": "provided_data_sectors",
             "log2_blocks_per_bitmap": "log2_blocks_per_bitmap_bit"}
    for key, name in pairs.items():
        if key in theirs:
            expect("dump: " + name, ours[name], int(theirs[key][0]))
    expect("dump: flags", sorted(ours["flags"]), sorted(theirs["flags"]))


def judge(v, directory):
    expect_dump(v)
    verdict = kernel.Verdict(directory)
    if verdict.refused:
        raise Failure("the kernel refuses it: " + (directory / "refused").read_text().strip())
    expect("the kernel's errors", [l for l in verdict.dmesg.splitlines() if "Error on" in l], [])
    record = Record(directory / "record", v.spb)
    if not v.killed:
        record.shut_down()
    record.expect(verdict.contents, verdict.unreadable, whole=v.mode == "J" or not v.killed,
                  may_fail=v.killed and v.mode == "D")
    if not (v.killed and v.mode == "D"):
        expect("mismatches", verdict.mismatches, 0)
    expect_after(v, verdict, directory)
    return f"{v.state.split('-')[0]} {'killed' if v.killed else 'shut down'}"


def attempt(what, v, *args):
    """Returns what it returned, or None after telling what failed."""
    try:
        return what(v, *args) or "done"
    except (Failure, OSError, KeyError, ValueError, subprocess.TimeoutExpired) as error:
        print(f"{v.name}: {type(error).__name__}: {error}")
        print(f"    table: {v.table(v.mode, getattr(v, 'length', 0))}; opened as {v.judged}")
        return None


def run(guest, load, count, seed, work):
    volumes = matrix.choose(count, seed, DIMENSIONS, possible, Volume)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        made = list(pool.map(lambda v: attempt(make, v, load, work / v.name), volumes))
    volumes = [v for v, done in zip(volumes, made) if done]
    status = kernel.run(guest, work, [v.script() for v in volumes])
    if status != 0:
        return status
    outcomes = [attempt(judge, v, work / v.name) for v in volumes]
    for outcome in sorted({o for o in outcomes if o}):
        print(f"{outcomes.count(outcome)} {outcome}")
    return 0 if all(made) and all(outcomes) else 1


if __name__ == "__main__":
    sys.exit(sample.main(2, 40, run))
