# SPDX-License-Identifier: BSD-2-Clause
"""Recipes run by a real kernel, in User-Mode Linux, and what it made of the volumes in them."""

import pathlib
import subprocess

from volume import sectors_of

HERE = pathlib.Path(__file__).parent
GUESTS = 2


def run(guest, work, recipes):
    """Runs recipes (shell lines, in the words of guest-volumes.sh) in a few guests side by side.
    Returns their exit status."""
    running = []
    for n in range(min(GUESTS, len(recipes))):
        script = work / f"recipe-{n}.sh"
        lines = [f". '{HERE}/guest-volumes.sh'"]
        lines += [line for recipe in recipes[n::GUESTS] for line in recipe]
        script.write_text("\n".join(lines) + "\n")
        running.append(subprocess.Popen([HERE / "uml.sh", guest, work, script]))
    return max((p.wait() for p in running), default=0)


class Verdict:
    """What the kernel made of a copy (judge, in guest-volumes.sh)."""

    def __init__(self, directory):
        self.table = (directory / "table").read_text().strip()
        self.length = int(self.table.split()[1])
        self.dmesg = (directory / "dmesg").read_text()
        self.refused = (directory / "refused").exists()
        if self.refused:
            return
        self.contents = (directory / "contents").read_bytes()
        lines = [line.split() for line in (directory / "unreadable").read_text().splitlines()]
        self.unreadable = sectors_of((int(first), int(count)) for first, count, _ in lines)
        self.mismatches = int((directory / "status").read_text().split()[3])
        # A journal that fails is "Error on ..." in the log, and then nothing can be read.
        self.stopped = ("integrity: Error on " in self.dmesg and
                        len(self.unreadable) == self.length)


def last_words(directory):
    dmesg = directory / "dmesg"
    lines = dmesg.read_text().splitlines() if dmesg.exists() else []
    return lines[-1] if lines else "nothing to say"
