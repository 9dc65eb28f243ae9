#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Volumes that a real kernel left dirty: `intact replay` does to them what the kernel does.

The kernel makes volumes (matrix.py) and files are copied while it writes, or sectors are mixed of
before and after; then it activates a copy, and so does Intact another. Contents are equal, and what
cannot be read; a journal that the kernel chokes on is refused here, with the volume as it was; what
each of them leaves behind, the other one reads, to the same contents.

	replay-as-the-kernel.py GUEST [COUNT [SEED]]

Environment: as for kernel-makes.py.
"""

import json
import os
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True  # not into the source tree

import kernel
import matrix
import sample
import volume
from volume import (CLEAN, DAMAGED, Failure, Intact, Journal, Superblock, bad_sectors, dirty_blocks,
                    expect, ranges_of)

DIMENSIONS = matrix.DIMENSIONS | {
    "state": ["J-live", "J-torn", "J-live-full", "J-storm", "J-torn-everywhere", "J-live", "J-torn",
              "J-rotten-journal", "J-live-rotten", "J-discards-live", "B-dirty", "B-cut", "D-cut"],
    "open": ["same", "same", "same", "J", "D", "B"],
}


class Volume(matrix.Volume):
    def script(self):
        return ["KEEP_AFTER=yes", *super().script()]

    def script_again(self, length):
        """The kernel's look at what Intact left."""
        return [f"OUT=$PWD/{self.name}/replayed", "KEEP_AFTER=yes", "given out",
                self._judge().replace("$SECTORS", str(length))]


def possible(v):
    # Intact refuses what the kernel cannot do right (docs/format.md section 7).
    return matrix.possible(v) and not (v["open"] == "B" and v["crypt"])


# ---- Intact's replay, of a copy


def copy_volume(v, directory):
    v.copy = directory / "replayed"
    v.copy.mkdir()
    names = ["meta", "image"] if v.meta else ["image"]
    for name in names:
        shutil.copy(directory / name, v.copy / name)
    v.files = [str(v.copy / name) for name in names]
    v.more = ["--data-device", v.files[1]] if v.meta else []


def intact_on(v, files, table):
    more = ["--data-device", files[1]] if v.meta else []
    return Intact(files, table, more)


def replay(v, verdict):
    """Returns exit status and what it printed."""
    words = [os.environ["INTACT"], "replay", "--json", "--table", verdict.table, *v.more, v.files[0]]
    done = subprocess.run(words, capture_output=True, timeout=120)
    if done.returncode not in (CLEAN, DAMAGED):
        raise Failure(f"replay ends with {done.returncode}: {done.stderr.decode().strip()}")
    return done.returncode, json.loads(done.stdout)


def expect_decision(v, verdict, superblock, status, said):
    expect("replay refuses the journal", status == DAMAGED, verdict.stopped)
    expect("replay's result", said["result"], "corrupt" if verdict.stopped else "clean")
    if superblock.has("dirty_bitmap"):
        expect("replay's journal", said["journal"], "bitmap")
        return
    if verdict.stopped or v.crypt:
        return
    journal = Journal(v.superblock_file, superblock)
    expect("replay's journal", said["journal"], journal.state)
    if journal.state == "replay":
        expect("sections", said["sections"], len(journal.replayed))
        expect("entries", said["entries"], journal.entries)


def replay_volume(v, directory):
    """False: there is nothing more to be looked at."""
    verdict = v.verdict = kernel.Verdict(directory)
    if verdict.refused:
        raise Failure("the kernel refuses what it made: " +
                      (directory / "refused").read_text().strip())
    copy_volume(v, directory)
    v.superblock_file = directory / ("meta" if v.meta else "image")
    superblock = Superblock(v.superblock_file, v.start)
    before = [volume.file_sha256(f) for f in v.files]
    expect_decision(v, verdict, superblock, *replay(v, verdict))
    if verdict.stopped:
        expect("a refused volume is as it was", [volume.file_sha256(f) for f in v.files], before)
        return False
    expect("flags afterwards", Superblock(v.files[0], v.start).has("dirty_bitmap"), False)
    return True


# ---- Who reads what the other one left


def contents_of(intact, out):
    intact.run("read", "--ignore-mismatches", "-o", str(out))
    return out.read_bytes()


def differing(a, b):
    expect("length", len(a), len(b))
    return {s for s in range(len(a) // 512) if a[s * 512:s * 512 + 512] != b[s * 512:s * 512 + 512]}


def may_be_ours(v, directory):
    """Blocks of clean regions that the kernel recalculates all the same, accepting damage, or does
    not find: see kernel-makes.py."""
    superblock = Superblock(v.superblock_file, v.start)
    spb = superblock.spb
    split = {s for s in range(v.verdict.length) if superblock.tag_is_split(s // spb)}
    if not superblock.has("dirty_bitmap"):
        return split
    dirty = set(dirty_blocks(v.superblock_file, superblock, v.verdict.length))
    return split | {s for s in range(v.verdict.length) if s // spb not in dirty}


def compare(v, directory):
    before = v.verdict
    again = kernel.Verdict(v.copy)
    expect("refused after Intact's replay", again.refused, False)
    expect("stopped after Intact's replay", again.stopped, False)
    expect("contents after Intact's replay",
           ranges_of(differing(again.contents, before.contents) - again.unreadable -
                     before.unreadable), [])
    tolerated = may_be_ours(v, directory)
    expect("unreadable after Intact's replay",
           ranges_of((again.unreadable ^ before.unreadable) - tolerated), [])
    names = ["after-meta", "after"] if v.meta else ["after"]
    for what, where in (("the kernel's", directory), ("Intact's and the kernel's", v.copy)):
        intact = intact_on(v, [str(where / name) for name in names], before.table)
        _, check = intact.run_json("check")
        expect(f"journal after {what} replay", check["journal"]["state"] in ("empty", "replay"), True)
        expect(f"bad after {what} replay",
               ranges_of((bad_sectors(check) ^ before.unreadable) - tolerated), [])
        ours = contents_of(intact, where / "read")
        expect(f"contents after {what} replay",
               ranges_of(differing(ours, before.contents) - before.unreadable), [])
        intact.expect_untouched()


# ---- All of them


def attempt(what, v, directory):
    try:
        return True, what(v, directory)
    except (Failure, OSError, KeyError, ValueError, subprocess.TimeoutExpired) as error:
        print(f"{v.name}: {type(error).__name__}: {error}")
        print(f"    table: {(directory / 'table').read_text().strip()}; {v.open}")
        return False, False


def run(guest, count, seed, work):
    volumes = matrix.choose(count, seed, DIMENSIONS, possible, Volume)
    status = kernel.run(guest, work, [v.script() for v in volumes])
    if status != 0:
        return status
    outcomes = [attempt(replay_volume, v, work / v.name) for v in volumes]
    good = [v for v, (_, more) in zip(volumes, outcomes) if more]
    status = kernel.run(guest, work, [v.script_again(v.verdict.length) for v in good])
    if status != 0:
        return status
    outcomes += [attempt(compare, v, work / v.name) for v in good]
    print(f"{len(good)} replayed, {len(volumes) - len(good)} refused")
    if len(good) < len(volumes) // 2:
        print("too few were replayed to mean something")
        return 1
    return 0 if all(done for done, _ in outcomes) else 1


if __name__ == "__main__":
    sys.exit(sample.main(1, 26, run))
