# SPDX-License-Identifier: BSD-2-Clause
"""A volume's files, what can be known of them without Intact, and what Intact says of them.

The decoders here are written from docs/format.md alone and do not know the C code, so that the two
can be held against each other. They do no cryptography: an encrypted journal is nobody's business.
"""

import hashlib
import json
import os
import struct
import subprocess

SECTOR = 512
FLAGS = ["have_journal_mac", "recalculating", "dirty_bitmap", "fix_padding", "fix_hmac", "inline",
         "discard_keyed"]
CLEAN, DAMAGED, USAGE, NOT_A_VOLUME = 0, 1, 2, 3


def file_sha256(path):
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


# ---- What lies on the disk


class Superblock:
    """docs/format.md section 2, of a volume that the kernel has accepted."""

    def __init__(self, path, start):
        with open(path, "rb") as f:
            f.seek(start * SECTOR)
            sector = f.read(SECTOR)
        (self.magic, self.version, self.log2_interleave, self.tag_bytes, self.journal_sections,
         self.provided, self.flags, self.log2_spb, self.log2_blocks_per_bit, _,
         self.recalc) = struct.unpack_from("<8sBBHIQIBBHQ", sector)
        self.start = start

    def has(self, flag):
        return bool(self.flags & (1 << FLAGS.index(flag)))

    def as_json(self):
        return {
            "version": self.version,
            "flags": [name for i, name in enumerate(FLAGS) if self.flags & (1 << i)],
            "tag_size": self.tag_bytes,
            "block_size": SECTOR << self.log2_spb,
            "journal_sections": self.journal_sections,
            "provided_data_sectors": self.provided,
            "recalc_sector": self.recalc if self.has("recalculating") else None,
            "log2_blocks_per_bitmap_bit": self.log2_blocks_per_bit,
        }

    @property
    def spb(self):
        return 1 << self.log2_spb

    @property
    def entry_bytes(self):
        return (8 + 8 * self.spb + self.tag_bytes + 7) // 8 * 8

    @property
    def section_entries(self):
        return (496 if self.has("have_journal_mac") else 504) // self.entry_bytes * 8

    @property
    def section_sectors(self):
        return self.section_entries * self.spb + 8

    def tag_is_split(self, block):
        """Whether a tag lies in two of the buffers (by default of up to 64 KiB) in which the kernel
        reads and writes tags, the larger part of it in the first one."""
        buffer = 128 * SECTOR
        if self.log2_interleave:
            pad = 4096 if self.has("fix_padding") else 131072
            run_blocks = 1 << (self.log2_interleave - self.log2_spb)
            run_bytes = -(-self.tag_bytes * run_blocks // pad) * pad
            buffer = min(buffer, run_bytes & -run_bytes)
            block %= run_blocks
        in_first = buffer - block * self.tag_bytes % buffer
        return self.tag_bytes / 2 <= in_first < self.tag_bytes


class Journal:
    """docs/format.md section 5, steps 1 to 5 of the replay, of a journal that is not encrypted."""

    def __init__(self, path, superblock):
        self.superblock = superblock
        with open(path, "rb") as f:
            f.seek((superblock.start + 8) * SECTOR)
            self.sections = [f.read(superblock.section_sectors * SECTOR)
                             for _ in range(superblock.journal_sections)]
        self.state, self.replayed = self._plan()

    def _sequence(self, section, sector):
        word, = struct.unpack_from("<Q", self.sections[section], sector * SECTOR + 504)
        word ^= section << 32 ^ sector
        ids = [0x1111111111111111 * (q + 1) for q in range(4)]
        return ids.index(word) if word in ids else None

    def _plan(self):
        """Returns the state and the sections to be replayed, as far as commit ids tell."""
        count = len(self.sections)
        found = [{self._sequence(i, j) for j in range(self.superblock.section_sectors)}
                 for i in range(count)]
        if any(None in ids for ids in found):
            return "corrupt", []
        used = [any(q in ids for ids in found) for q in range(4)]
        if all(used):
            return "corrupt", []
        if used[3]:
            unused = used.index(False)
        else:
            unused = 3
            while unused > 0 and not used[unused - 1]:
                unused -= 1
        newest = (unused - 1) % 4
        want = (newest - 1) % 4
        if not used[want] and used[(want - 1) % 4]:
            return "empty", []
        section = max(i for i in range(count) if newest in found[i]) + 1
        replayed = []
        while len(replayed) < count:
            if section >= count:
                section, want = 0, (want + 1) % 4
            if found[section] != {want}:
                break
            replayed.append(section)
            section += 1
        return ("replay" if self._used_entries(replayed) else "empty"), replayed

    def _used_entries(self, sections):
        return sum(1 for i in sections for n in range(self.superblock.section_entries)
                   if self._entry_sector(i, n) >> 32 != 0xFFFFFFFF)

    def _entry_sector(self, section, entry):
        at = entry % 8 * SECTOR + entry // 8 * self.superblock.entry_bytes
        return struct.unpack_from("<Q", self.sections[section], at)[0]

    @property
    def entries(self):
        return self._used_entries(self.replayed)


def dirty_blocks(path, superblock, length):
    """The blocks that the bitmap of docs/format.md section 7 says may have stale tags."""
    with open(path, "rb") as f:
        f.seek((superblock.start + 8) * SECTOR)
        bits = f.read(superblock.section_sectors * superblock.journal_sections * SECTOR)
    for block in range(length // superblock.spb):
        bit = block >> superblock.log2_blocks_per_bit
        if bits[bit // 8] >> bit % 8 & 1:
            yield block


# ---- What Intact says


class Failure(Exception):
    pass


def expect(what, got, wanted):
    if got != wanted:
        raise Failure(f"{what}: intact says {got!r}, expected {wanted!r}")


class Intact:
    """The command under test, on one volume; files must be the same afterwards."""

    def __init__(self, files, table, more=()):
        self.files = [f for f in files if f]
        self.table = table
        self.more = list(more)
        self.before = {f: (file_sha256(f), os.stat(f).st_mtime_ns) for f in self.files}

    def run(self, command, *options):
        arguments = [os.environ["INTACT"], command, self.files[0], *self.more,
                     "--table", self.table, *options]
        done = subprocess.run(arguments, capture_output=True, timeout=120)
        self.message = done.stderr.decode(errors="replace").strip()
        if done.returncode < 0 or done.returncode > NOT_A_VOLUME:
            raise Failure(f"intact {command} ended with {done.returncode}: {self.message}")
        return done.returncode, done.stdout

    def run_json(self, command, *options):
        status, out = self.run(command, "--json", *options)
        try:
            return status, json.loads(out) if out.strip() else {}
        except ValueError as error:
            raise Failure(f"intact {command} --json: {error}: {out[:200]!r}") from error

    def expect_untouched(self):
        for f in self.files:
            expect(f"{f} is as it was", (file_sha256(f), os.stat(f).st_mtime_ns), self.before[f])


def sectors_of(ranges):
    """[(first, count)] as a set of sectors."""
    return {s for first, count in ranges for s in range(first, first + count)}


def ranges_of(sectors):
    """The reverse, for people."""
    ranges = []
    for s in sorted(sectors):
        if ranges and ranges[-1][0] + ranges[-1][1] == s:
            ranges[-1][1] += 1
        else:
            ranges.append([s, 1])
    return ranges


def bad_sectors(check):
    return sectors_of((b["first_sector"], b["sectors"]) for b in check["bad"])


def expect_consistent(status, check):
    """What must hold in every answer of check, whatever the volume."""
    blocks = check["blocks"]
    spb = check["superblock"]["block_size"] // SECTOR
    parts = ("verified", "mismatched", "unverified", "discarded", "unreadable")
    expect("sum of blocks", sum(blocks[p] for p in parts), blocks["total"])
    bad = blocks["mismatched"] + blocks["unreadable"]
    expect("bad sectors", len(bad_sectors(check)), bad * spb)
    damaged = bool(check["bad"]) or check["journal"]["state"] == "corrupt"
    expect("exit status", status, DAMAGED if damaged else CLEAN)
    expect("result", check["result"], "damaged" if damaged else "clean")
    ends = [b["first_sector"] + b["sectors"] for b in check["bad"]]
    expect("bad ranges are apart and in order",
           all(end < b["first_sector"] or check["bad"][i]["reason"] != b["reason"]
               for i, (end, b) in enumerate(zip(ends, check["bad"][1:]))), True)
