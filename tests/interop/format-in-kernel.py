#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Volumes that Intact formatted or recalculated, in the hands of a real kernel.

What `intact format` writes is compared with what the kernel writes when it formats a device of the
same size with the same table: superblock and journal are the same bytes, but for the salt and what is
made with it. Then the kernel activates ours and reads every block: zeros after a wipe, the data that
were there after a recalculation, by us, by it, or begun by it and ended by us; nothing fails to
verify, and nothing is counted as a mismatch.

	format-in-kernel.py GUEST [COUNT [SEED]]

Environment: INTACT, the command. INTACT_SEED, as SEED. INTACT_KEEP, a directory for the volumes.
INTACT_REQUIRE_UML=1 fails where there is no User-Mode Linux, instead of 77.
"""

import os
import random
import subprocess
import sys

sys.dont_write_bytecode = True  # not into the source tree

import kernel
import matrix
import sample
from volume import CLEAN, Failure, Intact, Superblock, expect, expect_consistent, ranges_of

DIMENSIONS = matrix.DIMENSIONS | {
    "state": ["J-wiped", "B-wiped", "J-recalculated", "D-wiped", "J-to-recalculate", "J-wiped",
              "J-reset", "D-recalculated", "J-wiped", "J-recalculating"],
    "open": ["same"],
    "journal": [0, 1, 300, 700, 1500],
}


def possible(v):
    if v["state"][0] == "B" and v["crypt"]:
        return False
    if v["meta"] and (v["interleave"] or v["start"] > 64):
        return False
    # The kernel recalculates keyed hashes only when the superblock has a MAC.
    if "wiped" not in v["state"] and (matrix.keyed(v["hash"]) or matrix.keyed(v["mac"])):
        if not (v["salt"] and matrix.keyed(v["mac"])):
            return False
    # Short runs take the kernel several steps, so that it can be caught between them.
    return v["state"] != "J-recalculating" or v["interleave"] == 256


class Volume(matrix.Volume):
    @property
    def what(self):
        return self.state[2:]

    @property
    def table_words(self):
        return self.arguments(self.mode, *self.more)

    @property
    def more(self):
        return ["sectors_per_bit:256"] if self.mode == "B" else []

    def table(self, *more):
        return f"0 8 integrity DEVICE {self.arguments(self.mode, *self.more, *more)}"

    def script(self):
        """What the kernel makes of it, and of a blank device of that size."""
        lines = [f"OUT=$PWD/{self.name}", "KEEP_AFTER=yes", "given out",
                 f'judge out "{self.table_words}" {self.length} {self.spb}']
        if self.what == "wiped":
            lines += [f"device {self.sectors} {self.meta_sectors}",
                      f'provided "{self.table_words}" >$OUT/provided', "detach",
                      "cp --sparse=always $(superblock_file live) $OUT/blank"]
        return lines

    def begin_script(self):
        """A recalculation that the kernel has begun."""
        begin = self._make_recalculating()[:-len(self._rot(0))]
        return [f"OUT=$PWD/{self.name}", f"device {self.sectors} {self.meta_sectors}", *begin,
                "detach", "snap_of out"]


# ---- What Intact does


def command(*words):
    done = subprocess.run([os.environ["INTACT"], *words], capture_output=True, timeout=120)
    if done.returncode != 0:
        raise Failure(f"intact {words[0]}: {done.stderr.decode().strip()}")


def noise(v, name, sectors):
    with open(v.directory / name, "wb") as f:
        f.write(random.Random(v.seed).randbytes(sectors * 512))


def prepare(v, work):
    v.directory = work / v.name
    v.directory.mkdir()
    v.files = [v.directory / name for name in (["meta", "image"] if v.meta else ["image"])]
    v.options = ["--data-device", str(v.files[1])] if v.meta else []


def make(v):
    """All but what the kernel has begun."""
    if v.what != "recalculating":
        noise(v, "image", v.sectors)
        if v.meta:
            noise(v, "meta", v.meta_sectors)
        words = ["recalculate"] if v.what in ("recalculated", "to-recalculate") else []
        command("format", "--force", "--table", v.table(*words), *v.options, str(v.files[0]))
    v.superblock = Superblock(v.files[0], v.start)
    v.length = v.superblock.provided
    if v.what == "recalculating":
        expect("begun by the kernel", v.superblock.has("recalculating"), True)
        v.too_late = v.superblock.recalc >= v.length
    if v.what == "reset":
        spoil(v)
    if v.what in ("recalculated", "reset", "recalculating"):
        words = ["reset_recalculate"] if v.what == "reset" else []
        command("recalculate", "--table", v.table(*words), *v.options, str(v.files[0]))
        after = Superblock(v.files[0], v.start)
        expect("recalc_sector", (after.has("recalculating"), after.recalc), (True, v.length))


def spoil(v):
    """Behind the journal nothing is as it was: data, and on one device tags as well."""
    first = 0 if v.meta else v.start + 8 + v.superblock.journal_sections * v.section_sectors
    with open(v.directory / "image", "r+b") as f:
        f.seek(first * 512)
        f.write(random.Random(v.seed).randbytes((v.sectors - first) * 512))


# ---- What came of it


def expect_as_the_kernel(v):
    """Byte by byte, where nothing depends on the salt."""
    first = v.start * 512
    ours = v.files[0].read_bytes()[first:]
    theirs = (v.directory / "blank").read_bytes()[first:]
    expect("provided", v.length, int((v.directory / "provided").read_text()))
    expect("superblock", ours[:48].hex(), theirs[:48].hex())
    expect("salted", any(ours[48:64]), any(theirs[48:64]))
    if v.mac and v.salt:
        return
    end = (8 + v.superblock.journal_sections * v.section_sectors) * 512
    expect("superblock's rest", ours[64:4096] == theirs[64:4096], True)
    expect("journal", ours[4096:end] == theirs[4096:end], True)


def contents(v):
    """What lies on the device, in the order of logical sectors."""
    image = (v.directory / "image").read_bytes()
    if v.meta:
        return image[:v.length * 512]
    run = 1 << v.superblock.log2_interleave
    pad = 8 if v.superblock.has("fix_padding") else 256
    tags = -(-(v.superblock.tag_bytes * run // v.spb) // (pad * 512)) * pad
    first = v.start + 8 + v.superblock.journal_sections * v.section_sectors
    pieces = []
    for at in range(0, v.length, run):
        begin = (first + at // run * (run + tags) + tags) * 512
        pieces.append(image[begin:begin + min(run, v.length - at) * 512])
    return b"".join(pieces)


def expect_after(v, verdict):
    names = ["after-meta", "after"] if v.meta else ["after"]
    files = [str(v.directory / name) for name in names]
    intact = Intact(files, verdict.table, ["--data-device", files[1]] if v.meta else [])
    status, check = intact.run_json("check")
    expect_consistent(status, check)
    expect("check of what the kernel leaves", status, CLEAN)
    expect("unverified", check["blocks"]["unverified"], 0)


def judge(v):
    verdict = kernel.Verdict(v.directory)
    if verdict.refused:
        raise Failure("the kernel refuses it: " + (v.directory / "refused").read_text().strip())
    expect("the kernel's errors", [l for l in verdict.dmesg.splitlines() if "Error on" in l], [])
    expect("unreadable", ranges_of(verdict.unreadable), [])
    expect("mismatches", verdict.mismatches, 0)
    expect("sectors", len(verdict.contents), v.length * 512)
    if v.what == "wiped":
        expect("all zeros", any(verdict.contents), False)
        expect_as_the_kernel(v)
    else:
        expect("the data that were there", verdict.contents == contents(v), True)
    expect_after(v, verdict)
    return v.what + (", but not caught in the act" if getattr(v, "too_late", False) else "")


def attempt(what, v, *args):
    """Returns what it returned, or None after telling what failed."""
    try:
        return what(v, *args) or "done"
    except (Failure, OSError, KeyError, ValueError, subprocess.TimeoutExpired) as error:
        print(f"{v.name}: {type(error).__name__}: {error}")
        print(f"    table: {v.table()}")
        return None


def run(guest, count, seed, work):
    volumes = matrix.choose(count, seed, DIMENSIONS, possible, Volume)
    for v in volumes:
        prepare(v, work)
    begun = [v for v in volumes if v.what == "recalculating"]
    status = kernel.run(guest, work, [v.begin_script() for v in begun])
    if status != 0:
        return status
    made = [attempt(make, v) for v in volumes]
    volumes = [v for v, done in zip(volumes, made) if done]
    status = kernel.run(guest, work, [v.script() for v in volumes])
    if status != 0:
        return status
    outcomes = [attempt(judge, v) for v in volumes]
    for outcome in sorted({o for o in outcomes if o}):
        print(f"{outcomes.count(outcome)} {outcome}")
    return 0 if all(made) and all(outcomes) else 1


if __name__ == "__main__":
    sys.exit(sample.main(1, 60, run))
