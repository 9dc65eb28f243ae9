# SPDX-License-Identifier: BSD-2-Clause
"""Recipes run by a real kernel, in User-Mode Linux, and what it made of the volumes in them."""

import concurrent.futures
import pathlib
import subprocess

from volume import sectors_of

HERE = pathlib.Path(__file__).parent
GUESTS = 2
DIED = 125  # uml.sh's, of the guest


def write_script(path, recipes, finished):
    lines = [f". '{HERE}/guest-volumes.sh'"]
    for recipe in recipes:
        lines += [*recipe, f"echo finished >>'{finished}'"]
    path.write_text("\n".join(lines) + "\n")


def run_guest(guest, work, name, recipes):
    """A guest on a busy machine may die of itself (User-Mode Linux leaves signals little stack): it is
    begun again where it was. But a recipe that it dies of twice is guilty."""
    finished = work / f"finished-{name}"
    finished.write_text("")
    done, died_at = 0, set()
    while True:
        write_script(work / f"recipe-{name}.sh", recipes[done:], finished)
        command = [HERE / "uml.sh", "-t", "1700", guest, work, work / f"recipe-{name}.sh"]
        status = subprocess.run(command).returncode
        done = len(finished.read_text().splitlines())
        if status != DIED or done in died_at:
            return status
        died_at.add(done)


def run(guest, work, recipes):
    """Runs recipes (shell lines, in the words of guest-volumes.sh) in a few guests side by side.
    Returns their exit status."""
    shares = [recipes[n::GUESTS] for n in range(GUESTS) if recipes[n::GUESTS]]
    with concurrent.futures.ThreadPoolExecutor(GUESTS) as pool:
        statuses = pool.map(lambda n: run_guest(guest, work, n, shares[n]), range(len(shares)))
    return max(statuses, default=0)


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
