#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A real kernel makes volumes (matrix.py); check, dump and read agree with what it sees on them.

In User-Mode Linux dm-integrity makes each volume, and reads a copy of it: that is the judge. Then
for every one, here: the blocks that the kernel could not read are exactly those that check calls
bad, read delivers the same bytes, dump agrees with superblock and journal, a volume that the kernel
refuses is refused, a journal that it chokes on is called corrupt, and no file changes.

	kernel-makes.py GUEST [COUNT [SEED]]

Environment: INTACT, the command. INTACT_SEED, as SEED. INTACT_KEEP, a directory for the volumes.
INTACT_REQUIRE_UML=1 fails where there is no User-Mode Linux, instead of 77.
"""

import subprocess
import sys

sys.dont_write_bytecode = True  # not into the source tree

import kernel
import matrix
import sample
import volume
from volume import (CLEAN, DAMAGED, NOT_A_VOLUME, Failure, Intact, Journal, Superblock, bad_sectors,
                    dirty_blocks, expect, expect_consistent, ranges_of)


def expect_facts(v, superblock, status, dump, check):
    """dump and check tell what lies in superblock and journal."""
    # dump looks at the whole volume, not at the length in the table: one that was cut is unusable.
    allowed = (NOT_A_VOLUME,) if "shrunk" in v.state else (CLEAN, DAMAGED)
    expect("dump's exit status", status in allowed, True)
    for key, value in superblock.as_json().items():
        expect("superblock." + key, dump["superblock"][key], value)
        expect("superblock." + key, check["superblock"][key], value)
    expect("section_sectors", dump["layout"]["section_sectors"], superblock.section_sectors)
    expect("integrity", check["integrity"], v.hash)
    if superblock.has("dirty_bitmap"):
        expect("journal.state", dump["journal"]["state"], "bitmap")
        return
    if v.crypt or v.judged == "R":
        return
    journal = Journal(v.superblock_file, superblock)
    # What is wrong beyond its commit ids takes keys to see.
    if journal.state == "corrupt" or not v.mac:
        expect("journal.state of dump, corrupt", dump["journal"]["state"] == "corrupt",
               journal.state == "corrupt")
    if check["journal"]["state"] != "corrupt":
        expect("journal.state", check["journal"]["state"], journal.state)
        expect("journal.entries", check["journal"]["entries"], journal.entries)


def expect_blocks(v, verdict, superblock, check):
    """Bad are exactly the blocks that the kernel could not read, with two exceptions.

    Where tags may be stale the kernel recalculates them when it is activated, so it finds nothing
    wrong there; a check that writes nothing calls them unverified. And it recalculates more than it
    has to, clean regions between dirty ones, which accepts damage there: we do not (docs/format.md
    section 7). So with a dirty bitmap, damage in clean regions may be known to us alone.

    And Linux 6.1.176 accepts a damaged block whose tag is split between two of its buffers, the
    larger part in the first: what is wrong with such a block may be known to us alone as well.
    """
    bad = bad_sectors(check)
    unverified = check["blocks"]["unverified"]
    spb = superblock.spb
    bad -= {s for s in bad - verdict.unreadable if superblock.tag_is_split(s // spb)}
    if not superblock.has("dirty_bitmap"):
        expect("bad", ranges_of(bad), ranges_of(verdict.unreadable))
        if superblock.has("recalculating"):
            behind = max(0, verdict.length - superblock.recalc) // spb
            # Blocks in the journal carry a tag that was made when they were written.
            expect("unverified", 0 < unverified <= behind or unverified == behind, True)
        else:
            expect("unverified", unverified, 0)
        return
    dirty = set(dirty_blocks(v.superblock_file, superblock, verdict.length))
    expect("unverified", unverified, len(dirty))
    expect("bad but readable by the kernel", ranges_of(verdict.unreadable - bad), [])
    if "rotten" not in v.state:
        expect("bad", ranges_of(bad), ranges_of(verdict.unreadable))
    expect("bad and dirty", {s // spb for s in bad} & dirty, set())


def expect_contents(v, verdict, intact, directory):
    """read delivers what the kernel read, wherever it could; and stops where it could not."""
    out = directory / "read"
    intact.run("read", "--ignore-mismatches", "-o", str(out))
    contents = out.read_bytes()
    expect("bytes read", len(contents), verdict.length * volume.SECTOR)
    differ = {s for s in range(verdict.length)
              if contents[s * 512:s * 512 + 512] != verdict.contents[s * 512:s * 512 + 512]}
    expect("sectors with other contents", ranges_of(differ - verdict.unreadable), [])
    status, _ = intact.run("read", "-o", str(out))
    return status


def judge(v, directory):
    verdict = kernel.Verdict(directory)
    v.superblock_file = directory / ("meta" if v.meta else "image")
    files = [str(directory / name) for name in (["meta", "image"] if v.meta else ["image"])]
    more = ["--data-device", files[1]] if v.meta else []
    intact = Intact(files, verdict.table, more)
    status, check = intact.run_json("check")
    if verdict.refused:
        expect("exit status of check, refused by the kernel", status, NOT_A_VOLUME)
        expect("exit status of read, refused by the kernel", intact.run("read")[0], NOT_A_VOLUME)
        intact.expect_untouched()
        return "refused"
    if status == NOT_A_VOLUME:
        raise Failure(f"check refuses what the kernel takes: {intact.message}")
    expect_consistent(status, check)
    superblock = Superblock(v.superblock_file, v.start)
    expect_facts(v, superblock, *intact.run_json("dump"), check)
    expect("journal.state is corrupt", check["journal"]["state"] == "corrupt", verdict.stopped)
    if verdict.stopped:
        intact.expect_untouched()
        return "journal"
    expect_blocks(v, verdict, superblock, check)
    status = expect_contents(v, verdict, intact, directory)
    expect("exit status of read", status, DAMAGED if bad_sectors(check) else CLEAN)
    intact.expect_untouched()
    return "damaged" if bad_sectors(check) else "clean"


def judge_all(volumes, work):
    seen, failed = {}, 0
    for v in volumes:
        directory = work / v.name
        try:
            outcome = judge(v, directory)
            seen[outcome] = seen.get(outcome, 0) + 1
        except (Failure, OSError, KeyError, subprocess.TimeoutExpired) as error:
            failed += 1
            print(f"{v.name}: {type(error).__name__}: {error}")
            if (directory / "table").exists():
                print(f"    table: {(directory / 'table').read_text().strip()}")
            print(f"    opened as: {v.open}; kernel: {kernel.last_words(directory)}")
    print("volumes:", ", ".join(f"{n} {outcome}" for outcome, n in sorted(seen.items())))
    return failed, seen


def run(guest, count, seed, work):
    volumes = matrix.choose(count, seed)
    status = kernel.run(guest, work, [v.script() for v in volumes])
    if status != 0:
        return status
    failed, seen = judge_all(volumes, work)
    if failed:
        print(f"{failed} of {count} volumes failed")
        return 1
    # A matrix in which nothing is damaged, or nothing else, would show little.
    if count >= 75 and (seen.get("clean", 0) < 20 or seen.get("damaged", 0) < 10):
        print("too few volumes of one kind to mean something")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(sample.main(1, 75, run))
