#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The stored images are to Intact what they were to their kernels.

Beside each image lies what Linux 6.1 and 7.3 made of it, under the right and under wrong parameters
(tests/data/images). For every one of these openings: what the kernel refuses is refused, a journal
that makes it fail everything is called corrupt, the blocks that it could not read are the bad
ones, the contents are the same, superblock and journal are dumped as they are; and no image
changes.

	stored-images.py [NAME...]

Environment: INTACT, the command; INTACT_TEST_IMAGES, the directory with the unpacked images.
"""

import hashlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True  # not into the source tree

from volume import (CLEAN, DAMAGED, NOT_A_VOLUME, Failure, Intact, bad_sectors, expect,
                    expect_consistent, ranges_of, sectors_of)

IMAGES = pathlib.Path(os.environ["INTACT_TEST_IMAGES"])


class Opening:
    """One of the openings that a kernel tried, and what came of it."""

    def __init__(self, image, facts):
        self.image = image
        self.label = facts["label"]
        self.kernel = facts["kernel"].split("-")[0]
        self.length = facts["length_sectors"]
        self.table = f"0 {self.length} integrity DEVICE {facts['table_args']}"
        self.mode = facts["table_args"].split()[2]
        self.activated = facts["activated"]
        self.sha256 = facts.get("sha256")
        self.unreadable = sectors_of((first, n) for first, n, _ in facts.get("unreadable", []))
        self.stopped = (len(self.unreadable) == self.length and
                        any("integrity: Error on " in line for line in facts.get("dmesg", [])))
        self.recalculated = facts.get("recalc", "-") != "-" and self.mode != "R"

    @property
    def has_hash(self):
        return "internal_hash" in self.table


class Image:
    def __init__(self, sidecar):
        self.facts = json.loads(sidecar.read_text())
        self.name = self.facts["name"]
        part = {key: str(IMAGES / name.removesuffix(".zst"))
                for key, name in self.facts["files"].items()}
        device = part.get("data", part["image"])
        self.files, self.more = [device], []
        if "meta_device" in part:
            self.files, self.more = [part["meta_device"], device], ["--data-device", device]
        if "tags" in part:
            self.files, self.more = [device, part["tags"]], ["--inline-tags", part["tags"]]
        # With dm-crypt on top it is not our contents that the kernel read.
        self.openings = [Opening(self, o) for o in self.facts["opens"] if "crypt_on_top" not in o]

    def intact(self, opening):
        return Intact(self.files, opening.table, self.more)

    def intact_dump(self, opening):
        """dump has no use for the tuples of an inline volume."""
        return Intact(self.files, opening.table, [] if "tags" in self.facts["files"] else self.more)


# Where we are stricter than a kernel, and refuse what it takes (docs/format.md section 3): tags of
# one run that lie in the data of another.
STRICTER = {
    ("layout-legacypadding-il64-crc32c-512", "normal"),
}
# What the kernel refuses to do, or does, but a check never does.
NEVER_RECALCULATED = {"recalculate-refused", "reset_recalculate"}


def expect_dump(image, intact):
    """Superblock, layout and journal are those of the sidecar, which another program decoded."""
    status, dump = intact.run_json("dump", "--journal")
    corrupt = dump["journal"]["state"] == "corrupt"
    expect("dump's exit status", status, DAMAGED if corrupt else CLEAN)
    facts = image.facts["superblock"]
    superblock = dump["superblock"]
    for ours, theirs in (("version", "version"), ("tag_size", "integrity_tag_size"),
                         ("journal_sections", "journal_sections"), ("flags", "flag_names"),
                         ("provided_data_sectors", "provided_data_sectors"),
                         ("log2_blocks_per_bitmap_bit", "log2_blocks_per_bitmap_bit")):
        expect("superblock." + ours, superblock[ours], facts[theirs])
    expect("superblock.block_size", superblock["block_size"],
           512 << facts["log2_sectors_per_block"])
    layout, theirs = dump["layout"], image.facts.get("layout")
    if theirs and "inline" not in facts["flag_names"]:
        for key in ("entry_size", "section_entries", "section_sectors"):
            expect("layout." + key, layout[key], theirs[key])
        expect("layout.journal_sectors", layout["journal_sectors"], theirs["initial_sectors"] - 8)
        if "meta_device" not in image.facts["files"]:
            expect("layout.run_tag_sectors", layout["run_tag_sectors"], theirs["metadata_run"])
    for section in image.facts.get("journal_on_disk", []):
        expect_section(section, dump)


def expect_section(section, dump):
    if dump["journal"]["state"] == "bitmap":
        return
    ours = dump["journal_sections"][section["section"]]
    sequences = [section["commit_seq"].get(str(q), 0) for q in range(4)]
    name = f"section {section['section']}: "
    expect(name + "sectors by sequence", ours["sectors_by_sequence"], sequences)
    expect(name + "invalid sectors", ours["sectors_invalid"], section["commit_seq"].get("-1", 0))
    expect(name + "used entries", ours["used_entries"], section["used_entries"])


def contents_sha256(intact, unreadable, length):
    """As the sidecars have it: what is unreadable counts as zeros."""
    with tempfile.NamedTemporaryFile(prefix="intact-read.") as out:
        intact.run("read", "--ignore-mismatches", "-o", out.name)
        contents = bytearray(out.read())
    expect("bytes read", len(contents), length * 512)
    for sector in unreadable:
        contents[sector * 512:sector * 512 + 512] = bytes(512)
    return hashlib.sha256(contents).hexdigest()


def expect_refused(intact):
    for command in ("check", "read"):
        expect(f"exit status of {command}", intact.run(command)[0], NOT_A_VOLUME)
        expect(f"lines of {command}'s message", len(intact.message.splitlines()) > 0, True)


def expect_blocks(opening, intact, check):
    """Bad is what the kernel could not read.

    Where it recalculates (docs/format.md section 8) it finds nothing wrong, nor do we, who write
    nothing and call such blocks unverified.
    """
    expect("bad", ranges_of(bad_sectors(check)), ranges_of(opening.unreadable))
    blocks = check["blocks"]
    if blocks["mismatched"] == blocks["total"]:
        expect("a hint at the key", "wrong key or algorithm" in intact.message, True)
    if not opening.has_hash:
        expect("unverified", blocks["unverified"], blocks["total"])
    elif not opening.recalculated:
        expect("unverified", blocks["unverified"], 0)


def judge(image, opening):
    intact = image.intact(opening)
    status, check = intact.run_json("check")
    never = opening.label in NEVER_RECALCULATED
    if (image.name, opening.label) in STRICTER or opening.activated is False and not never:
        expect_refused(intact)
        return
    if status == NOT_A_VOLUME:
        raise Failure(f"check refuses what the kernel takes: {intact.message}")
    expect_consistent(status, check)
    if opening.label == "normal":
        expect_dump(image, image.intact_dump(opening))
    # The kernel writes home what it replays before it finds the error; Intact verifies first and
    # then leaves all of the journal out (docs/format.md section 5), so contents do not compare.
    expect("journal.state is corrupt", check["journal"]["state"] == "corrupt", opening.stopped)
    # Without the kernel's contents (6.1 crashes in recovery mode with a bitmap) nothing compares.
    if opening.stopped or not opening.activated:
        return
    # In recovery mode the kernel verifies nothing; check does, that is what it is for, and read
    # delivers everything.
    if opening.mode == "R":
        expect("exit status of read", intact.run("read", "-o", "/dev/null")[0], CLEAN)
    elif not never:
        expect_blocks(opening, intact, check)
    expect("sha256 of the contents", contents_sha256(intact, opening.unreadable, opening.length),
           opening.sha256)


def judge_image(sidecar):
    image = Image(sidecar)
    failures = 0
    untouched = image.intact(image.openings[0])
    for opening in image.openings:
        try:
            judge(image, opening)
        except (Failure, OSError, KeyError, subprocess.TimeoutExpired) as error:
            failures += 1
            print(f"{image.name}: {opening.label} ({opening.kernel}):",
                  f"{type(error).__name__}: {error}")
            print(f"    table: {opening.table}")
    try:
        untouched.expect_untouched()
    except Failure as error:
        failures += 1
        print(f"{image.name}: {error}")
    return len(image.openings), failures


def main():
    names = sys.argv[1:]
    sidecars = [s for s in sorted(IMAGES.glob("*.json")) if not names or s.stem in names]
    if not sidecars:
        print(f"no images in {IMAGES}")
        return 1
    results = [judge_image(s) for s in sidecars]
    failed = sum(f for _, f in results)
    print(f"{len(sidecars)} images, {sum(n for n, _ in results)} openings, {failed} failures")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
