#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Volumes moved from Intact to the kernel's target and back, by the table that each prints.

Each is formatted and written to, and some are changed to another mode while they are open. The kernel
activates it by the line that intact_table gives and nothing else. It prints the same words, holds the
same contents, and is written to; then Intact opens the volume by the kernel's line, and finds what the
kernel has written.

	table-in-kernel.py GUEST MOVE [COUNT [SEED]]

Environment: INTACT, the command. INTACT_SEED, as SEED. INTACT_KEEP, a directory for the volumes.
INTACT_REQUIRE_UML=1 fails where there is no User-Mode Linux, instead of 77.
"""

import os
import pathlib
import re
import subprocess
import sys

sys.dont_write_bytecode = True  # not into the source tree

import kernel
import matrix
import sample
from volume import Failure, expect

MODES = {"J": "integrity-journal", "D": "integrity-no-journal", "B": "integrity-bitmap-mode"}

DIMENSIONS = matrix.DIMENSIONS | {
    "tag": ["digest", "longer"],
    "state": ["J", "D", "B", "J-D", "D-J", "J-B", "B-J", "J-D-J", "B-D"],
    "journal": [0, 300, 700, 1500],
    "discards": [False, True],
    "buffer": [0, 8, 64],
    # Kernels round the last of these to their ticks.
    "timers": [[], ["commit_time:1234", "journal_watermark:70", "bitmap_flush_interval:4320",
                    "sectors_per_bit:64"]],
}
DIMENSIONS.pop("open")


def possible(v):
    # With journal_crypt the kernel's bitmap never reaches the disk (docs/format.md section 7).
    if "B" in v["state"] and v["crypt"]:
        return False
    if v["meta"] and (v["interleave"] or v["start"] > 64):
        return False
    return True


class Volume(matrix.Volume):
    """One that Intact makes; of the kernel it has the shell lines."""

    def __init__(self, number, choice, dice):
        super().__init__(number, choice | {"open": "same"}, dice)
        self.modes = self.state.split("-")

    def line(self):
        """The table that it is formatted and opened by."""
        more = [*self.timers, *(["allow_discards"] if self.discards else []),
                *([f"buffer_sectors:{self.buffer}"] if self.buffer else [])]
        return f"0 0 integrity DEVICE {self.arguments(self.modes[0], *more)}"

    def script(self):
        return [f"OUT=$PWD/{self.name}", "given out", "attach out",
                "dmsetup create v --table \"$(sed 's,@IMAGE@,/dev/loop0,; s,@META@,/dev/loop1,'"
                ' "$OUT/line")"',
                'dmsetup table v >"$OUT/hidden"', 'dmsetup table --showkeys v >"$OUT/shown"',
                f'"$guest" read $V {self.spb} "$OUT/theirs" "$OUT/unreadable"',
                f'"$guest" scatter $V {self.spb} 30 {self.seed} 10',
                f'"$guest" read $V {self.spb} "$OUT/written" "$OUT/unreadable-again"',
                "close", "detach", "cp --sparse=always $S/out.img $OUT/image",
                "[ ! -e $S/out.meta ] || cp --sparse=always $S/out.meta $OUT/meta"]


# ---- What Intact does


def run(*words):
    done = subprocess.run(words, capture_output=True, timeout=120)
    if done.returncode != 0:
        raise Failure(f"{pathlib.Path(words[0]).name}: {done.stderr.decode().strip()}")
    return done.stdout.decode()


def move(v, program, line, directory, seed, contents, *options):
    """Two lines: the table without keys, and with them. Its files have the names of the guest's."""
    device = directory / ("meta" if v.meta else "image")
    data = directory / "image" if v.meta else "-"
    lines = run(program, line, device, data, str(seed), directory / contents, *options).splitlines()
    names = {str(directory / "image"): "@IMAGE@", str(directory / "meta"): "@META@"}
    for path, name in names.items():
        lines = [text.replace(path, name) for text in lines]
    return lines


def make(v, program, directory):
    directory.mkdir()
    files = [directory / name for name in (["meta", "image"] if v.meta else ["image"])]
    for file in files:
        with open(file, "wb") as f:
            f.truncate((v.meta_sectors if file.name == "meta" else v.sectors) * 512)
    more = ["--data-device", files[1]] if v.meta else []
    run(os.environ["INTACT"], "format", "--table", v.line(), *more, files[0])
    options = [MODES[mode] for mode in v.modes[1:]]
    v.hidden, v.shown = move(v, program, v.line(), directory, v.seed, "ours", *options)
    (directory / "line").write_text(v.shown + "\n")


# ---- What came of it


def theirs(directory, name):
    return (directory / name).read_text().strip().replace("7:0", "@IMAGE@").replace("7:1", "@META@")


def words_of(table):
    """Kernels differ in the order of options. Of the watermark they remember how many entries of the
    journal it is."""
    words = table.split()
    options = []
    for word in sorted(words[8:]):
        name, _, value = word.partition(":")
        if name == "journal_watermark":
            word = f"{name}:about {round(int(value) / 10)}0"
        options.append(word)
    return words[:8] + options


def expect_table(what, kernels, ours):
    expect(what, words_of(ours), words_of(kernels))


def judge(v, program, directory):
    expect_table("table", theirs(directory, "shown"), v.shown)
    # dmsetup hides each digit of a key as 0, which would be a key itself; Intact as -.
    expect_table("table without keys", re.sub(r"(?<=:)0{8,}", lambda m: "-" * len(m[0]),
                 theirs(directory, "hidden")), v.hidden)
    expect("what it cannot read", (directory / "unreadable").read_text(), "")
    same = (directory / "theirs").read_bytes() == (directory / "ours").read_bytes()
    expect("that it reads the same", same, True)
    back = move(v, program, theirs(directory, "shown"), directory, 0, "back")
    expect_table("table after it is back", theirs(directory, "shown"), back[1])
    same = (directory / "back").read_bytes() == (directory / "written").read_bytes()
    expect("that what it has written is there", same, True)


def attempt(what, v, *args):
    """Says what failed, if something did."""
    try:
        what(v, *args)
        return True
    except (Failure, OSError, ValueError, subprocess.TimeoutExpired) as error:
        print(f"{v.name}: {type(error).__name__}: {error}")
        print(f"    table: {v.line()}; changed to {v.modes[1:]}")
        return False


def run_all(guest, program, count, seed, work):
    volumes = matrix.choose(count, seed, DIMENSIONS, possible, Volume)
    made = [v for v in volumes if attempt(make, v, program, work / v.name)]
    status = kernel.run(guest, work, [v.script() for v in made])
    if status != 0:
        return status
    good = [v for v in made if attempt(judge, v, program, work / v.name)]
    print(f"{len(good)} of {len(volumes)} moved there and back")
    return 0 if len(good) == len(volumes) else 1


if __name__ == "__main__":
    sys.exit(sample.main(2, 24, run_all))
