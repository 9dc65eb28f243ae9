#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What simulated power cuts leave of volumes, in the hands of a real kernel.

The simulator (tests/sim) runs seeds, with the engine on disks that lose, reorder and tear what was not
flushed, and dumps the disks after each seed's last cut, with what every block may hold then. The
kernel activates them and reads every block: it finds one of these versions, and in modes J and B
nothing that fails verification but what had rotted before.

	sim-in-kernel.py GUEST SIM [COUNT [SEED]]

Environment: INTACT_SEED, as SEED. INTACT_KEEP, a directory for the volumes. INTACT_REQUIRE_UML=1
fails where there is no User-Mode Linux, instead of 77.
"""

import struct
import subprocess
import sys

sys.dont_write_bytecode = True  # not into the source tree

import kernel
import sample
from volume import SECTOR, Failure, Superblock, expect

ANYTHING, MAY_FAIL, MAY_TEAR = 1, 2, 4


class Dump:
    """As tests/sim/dump.h says."""

    def __init__(self, directory):
        self.directory = directory
        self.name = directory.name
        about = (directory / "about").read_text().split()
        self.length, self.spb = int(about[0]), int(about[1])
        self.mode = about[2]
        self.arguments = about[3:]
        start = int(self.arguments[0])
        two = (directory / "meta").exists()
        self.superblock = Superblock(directory / ("meta" if two else "image"), start)
        self.possible = self._tags_fit(start) if two else start % self.spb == 0
        if self.mode == "B" and int(self.name) % 2:
            self._add(f"sectors_per_bit:{self.spb << self.superblock.log2_blocks_per_bit}")

    def _tags_fit(self, start):
        """In the kernel's buffers, whose size it chooses without thinking of the start
        (docs/format.md section 3)."""
        sb = self.superblock
        initial = 8 + sb.section_sectors * sb.journal_sections
        tags = -(-(sb.provided // sb.spb * sb.tag_bytes) // SECTOR)
        sectors = (self.directory / "meta").stat().st_size // SECTOR
        sizes = [b for b in (128, 64, 32, 16, 8) if initial + -(-tags // b) * b <= sectors]
        return bool(sizes) and start + initial + -(-tags // sizes[0]) * sizes[0] <= sectors

    def _add(self, option):
        self.arguments.append(option)
        self.arguments[3] = str(int(self.arguments[3]) + 1)

    def script(self):
        return [f"OUT={self.directory}", "given out",
                f'judge out "{" ".join(self.arguments)}" {self.length} {self.spb}']

    def blocks(self):
        """Flags and contents of each."""
        bytes_ = self.spb * SECTOR
        expected = (self.directory / "expected").read_bytes()
        at = 0
        for _ in range(self.length // self.spb):
            flags, count = struct.unpack_from("<II", expected, at)
            at += 8
            yield flags, [expected[at + i * bytes_:at + (i + 1) * bytes_] for i in range(count)]
            at += count * bytes_


def sectors_in(block):
    return [block[at:at + SECTOR] for at in range(0, len(block), SECTOR)]


def fits(seen, flags, contents):
    if flags & ANYTHING or seen in contents:
        return True
    if not flags & MAY_TEAR:
        return False
    return all(sector in {sectors_in(c)[i] for c in contents}
               for i, sector in enumerate(sectors_in(seen)))


def judge(dump):
    verdict = kernel.Verdict(dump.directory)
    if verdict.refused:
        raise Failure("the kernel refuses it: " + (dump.directory / "refused").read_text().strip())
    expect("the kernel's errors", [l for l in verdict.dmesg.splitlines() if "Error on" in l], [])
    failing, wrong = [], []
    for block, (flags, contents) in enumerate(dump.blocks()):
        first = block * dump.spb
        seen = verdict.contents[first * SECTOR:(first + dump.spb) * SECTOR]
        if first in verdict.unreadable:
            if not flags & MAY_FAIL:
                failing.append((first, dump.spb))
        elif not fits(seen, flags, contents):
            wrong.append((first, dump.spb))
    expect("unreadable", failing, [])
    expect("sectors with other contents", wrong, [])


def attempt(dump):
    try:
        judge(dump)
        return True
    except (Failure, OSError, ValueError) as error:
        print(f"seed {dump.name}: {type(error).__name__}: {error}")
        print(f"    arguments: {' '.join(dump.arguments)}; {kernel.last_words(dump.directory)}")
        return False


def run(guest, sim, count, seed, work):
    subprocess.run([sim, "--seeds", str(count), "--seed", seed, "--dump", work], check=True,
                   timeout=300)
    dumps = [Dump(work / str(n)) for n in range(int(seed), int(seed) + count)
             if (work / str(n)).exists()]
    dumps = [d for d in dumps if d.possible]
    print(f"{len(dumps)} of the volumes met a power cut and go to the kernel", flush=True)
    expect("enough of them", len(dumps) > count // 4, True)
    status = kernel.run(guest, work, [d.script() for d in dumps])
    if status != 0:
        return status
    good = [attempt(d) for d in dumps]
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(sample.main(2, 60, run))
