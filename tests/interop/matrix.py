# SPDX-License-Identifier: BSD-2-Clause
"""Which volumes the kernel is asked to make, and the shell lines that make them.

A volume is a choice for each of the dimensions below. Of the millions that are possible, choose()
takes a few dozen so that as many pairs of choices as it can meet in one volume: most mistakes need
no more than two things to come together. All is decided by the seed.
"""

import itertools
import random

# Kernel name and digest bytes; a key's bytes for those that need one.
HASHES = {
    "crc32c": (4, 0), "crc32": (4, 0), "xxhash64": (8, 0), "md5": (16, 0), "sha1": (20, 0),
    "sha224": (28, 0), "sha256": (32, 0), "sha384": (48, 0), "sha512": (64, 0),
    "sha3-224": (28, 0), "sha3-256": (32, 0), "sha3-512": (64, 0),
    "blake2b-160": (20, 0), "blake2b-256": (32, 0), "blake2b-512": (64, 0),
    "hmac(sha1)": (20, 20), "hmac(sha256)": (32, 32), "hmac(sha512)": (64, 150),
    "hmac(sha3-256)": (32, 16), "hmac(md5)": (16, 7), "cmac(aes)": (16, 16),
}
MACS = {"crc32c": 0, "hmac(sha1)": 20, "hmac(sha256)": 32, "sha256": 0, "cmac(aes)": 32}
CIPHERS = {
    "ctr(aes)": (16, 24, 32), "cbc(aes)": (16, 24, 32), "xts(aes)": (32, 64), "chacha20": (32,),
}

DIMENSIONS = {
    "hash": list(HASHES),
    "tag": ["digest", "shorter", "longer"],
    "block": [512, 1024, 2048, 4096],
    "padding": ["", "fix_padding"],
    "salt": ["", "fix_hmac"],
    "mac": [None, *MACS],
    "crypt": [None, *CIPHERS],
    "meta": [False, True],
    "start": [0, 8, 64, 2048],
    "interleave": [0, 256, 1024, 4096],
    "journal": [0, 300, 700, 1500],
    "state": [
        "J-clean", "J-unwritten", "J-live", "J-live-full", "J-torn", "J-torn-everywhere", "J-storm",
        "J-rotten", "J-rotten-journal", "J-live-rotten", "J-discards", "J-discards-live", "J-grown",
        "J-shrunk", "J-recalculating", "J-wrong-superblock",
        "D-clean", "D-cut", "D-rotten", "D-discards",
        "B-clean", "B-dirty", "B-dirty-rotten", "B-cut", "B-recalculating",
    ],
    "open": ["same", "J", "D", "B", "short"],
}


def keyed(name):
    return name is not None and "(" in name


def possible(v):
    """Combinations that the kernel refuses, or that mean nothing, or that it cannot survive."""
    state, mode = v["state"], v["state"][0]
    bitmap = mode == "B" or v["open"] == "B"
    # With journal_crypt the kernel's bitmap never reaches the disk (docs/format.md section 7).
    if bitmap and v["crypt"]:
        return False
    if v["meta"] and (v["interleave"] or state.endswith(("grown", "shrunk"))):
        return False
    if v["start"] and v["meta"] and v["start"] > 64:
        return False
    # A keyed hash is recalculated only when the superblock is authenticated by a keyed journal_mac,
    # which does not depend on it without fix_hmac.
    recalculated = state.endswith("recalculating") or "dirty" in state or state == "B-cut"
    if recalculated and (keyed(v["hash"]) or keyed(v["mac"])):
        return bool(v["salt"]) and keyed(v["mac"])
    if state == "J-recalculating" and v["interleave"] != 256 and not v["meta"]:
        return False
    if "discards" in state and v["open"] == "B":
        return False
    return True


class Volume:
    def __init__(self, number, choice, dice):
        self.__dict__.update(choice)
        self.number = number
        self.spb = self.block // 512
        self.mode = self.state[0]
        self.seed = dice.randrange(1, 1 << 30)
        self.sectors = dice.choice([3600, 4096, 5003, 6144])
        if self.start == 2048:
            self.sectors += 2048
        self.meta_sectors = 3000 if self.meta else 0
        digest_bytes, hash_key_bytes = HASHES[self.hash]
        self.tag_bytes = digest_bytes
        if self.tag == "shorter":
            self.tag_bytes = max(1, digest_bytes - dice.randrange(1, max(2, digest_bytes // 2)))
        if self.tag == "longer":
            self.tag_bytes = digest_bytes + dice.randrange(1, 20)
        # The first run has to fit, with some room for data.
        while not self.meta and self._run_tag_sectors() > self.sectors // 3:
            self.interleave = (self.interleave or 32768) // 4
        self.hash_word = self._algorithm("internal_hash", self.hash, hash_key_bytes, dice)
        self.mac_word = self._algorithm("journal_mac", self.mac, MACS.get(self.mac, 0), dice)
        sizes = CIPHERS.get(self.crypt, (0,))
        self.crypt_word = self._algorithm("journal_crypt", self.crypt, dice.choice(sizes), dice)
        hash_name = self.hash.replace("(", "-").replace(")", "")
        self.name = f"{number:02d}-{self.state}-{hash_name}-{self.block}"
        self.judged = self.state.split("-")[0]
        if self.open in "JDB":
            self.judged = self.open

    def _run_tag_sectors(self):
        pad = 4096 if self.padding else 131072
        bytes_ = self.tag_bytes * (self.interleave or 32768) // self.spb
        return -(-bytes_ // pad) * pad // 512

    @staticmethod
    def _algorithm(option, name, key_bytes, dice):
        if name is None:
            return None
        return f"{option}:{name}" + (":" + dice.randbytes(key_bytes).hex() if key_bytes else "")

    def arguments(self, mode, *more):
        """The target's arguments behind the device."""
        words = [self.hash_word, self.mac_word, self.crypt_word, self.padding, self.salt,
                 f"block_size:{self.block}" if self.block != 512 else "",
                 "meta_device:@META@" if self.meta else "",
                 f"interleave_sectors:{self.interleave}" if self.interleave else "",
                 f"journal_sectors:{self.journal}" if self.journal else "", *more]
        words = [w for w in words if w]
        tag = "-" if self.tag == "digest" else str(self.tag_bytes)
        return f"{self.start} {tag} {mode} {len(words)} {' '.join(words)}"

    @property
    def section_sectors(self):
        """docs/format.md section 3"""
        entry = (8 + 8 * self.spb + self.tag_bytes + 7) // 8 * 8
        return (496 if self.mac else 504) // entry * 8 * self.spb + 8

    def script(self):
        """The lines for bash, in the words of guest-volumes.sh."""
        lines = [f"OUT=$PWD/{self.name}; rm -rf $OUT; mkdir $OUT",
                 f"device {self.sectors} {self.meta_sectors}"]
        made = getattr(self, "_make_" + self.state[2:].replace("-", "_"))()
        lines += [*made, "detach", self._judge()]
        return lines

    # ---- What has been done to each before it is judged; the image to look at is `out`.

    def _scatter(self, writes, flush_every=0, seed=0):
        return f"$guest scatter $V {self.spb} {writes} {self.seed + seed} {flush_every}"

    def _wiped(self):
        return [f"open '{self.arguments('D')}'", "$guest fill $V 0 0 0", self._scatter(10), "close"]

    def _opened(self, *more):
        """J keeps everything in its journal until it is full, B every bit until it is closed."""
        keep = {"J": ("journal_watermark:100", "commit_time:100000"),
                "B": ("sectors_per_bit:64", "bitmap_flush_interval:60000"), "D": ()}[self.mode]
        return [f"open '{self.arguments(self.mode, *keep, *more)}'"]

    def _make_clean(self):
        return [*self._wiped(), *self._opened(), self._scatter(40, 10, 1), "close", "snap out"]

    def _make_unwritten(self):
        return [*self._opened(), self._scatter(60, 10), "close", "snap out"]

    def _live(self, writes, flush_every=0):
        return [*self._wiped(), *self._opened(), self._scatter(writes, flush_every, 1),
                "$guest flush $V", "snap out"]

    def _make_live(self):
        return [*self._live(12), "close"]

    def _make_live_full(self):
        return [*self._live(400, 50), "close"]

    def _torn(self):
        """An older state of the journal shows through a newer one."""
        return [*self._live(60), self._scatter(60, 20, 2), "$guest flush $V", "snap new", "close",
                f"first={self.start + 8}",
                f"count=$(journal_sectors new {self.start} {self.section_sectors})"]

    def _splice(self, first, count, percent):
        return ['new=$(superblock_file new) old=$(superblock_file out)',
                f'$guest splice "$new" "$old" {first} {count} {percent} {self.seed}',
                'mv "$new" "$old"']

    def _make_torn(self):
        return [*self._torn(), *self._splice("$first", "$count", 30)]

    def _make_torn_everywhere(self):
        size = self.meta_sectors or self.sectors
        return [*self._torn(), *self._splice("$first", f"$(({size} - first))", 3)]

    def _make_storm(self):
        busy = self.arguments("J", "commit_time:20", "journal_watermark:80")
        return [*self._wiped(), f"open '{busy}'", self._scatter(400, 8, 1) + " & storm=$!",
                "sleep 0.15", "snap out", "wait $storm", "close"]

    def _rot(self, bytes_):
        """Behind the journal: data, tags, and what lies between them."""
        data = f"$guest rot $S/out.img 0 {self.sectors} {bytes_} {self.seed + 1}"
        journal = f"$(journal_sectors out {self.start} {self.section_sectors})"
        return [*([data] if self.meta else []),
                f"first=$(({self.start + 8} + {journal}))",
                'file=$(superblock_file out)', 'end=$(($(stat -c %s "$file") / 512))',
                f'$guest rot "$file" $first $((end - first)) {bytes_} {self.seed}']

    def _make_rotten(self):
        return [*self._make_clean(), *self._rot(12)]

    def _make_live_rotten(self):
        return [*self._make_live(), *self._rot(12)]

    def _make_rotten_journal(self):
        return [*self._make_live(),
                f'$guest rot "$(superblock_file out)" {self.start + 8}'
                f" $(journal_sectors out {self.start} {self.section_sectors}) 2 {self.seed}"]

    def _discard(self):
        """Whole blocks, here and there; then some are written again."""
        ranges = [(0, 4), (11, 3), (40, 37), (100, 1)]
        discards = [f"$guest discard $V {at * self.spb} {n * self.spb}" for at, n in ranges]
        return [*self._wiped(), *self._opened("allow_discards"), self._scatter(10, 0, 1), *discards,
                f"$guest fill $V {self.spb} {self.spb} {self.seed}"]

    def _make_discards(self):
        return [*self._discard(), "close", "snap out"]

    def _make_discards_live(self):
        return [*self._discard(), "$guest flush $V", "snap out", "close"]

    def _make_grown(self):
        return [*self._make_clean(), "truncate -s +1000K $S/out.img"]

    def _make_shrunk(self):
        return [*self._make_clean(), "truncate -s -700K $S/out.img"]

    def _make_cut(self):
        return [*self._wiped(), *self._opened(), self._scatter(25, 9, 1), "snap out", "close"]

    def _make_dirty(self):
        return [*self._wiped(), *self._opened(), self._scatter(6, 0, 1), "$guest flush $V",
                "snap out", "close"]

    def _make_dirty_rotten(self):
        return [*self._make_dirty(), *self._rot(12)]

    def _make_recalculating(self):
        """Caught in the act: reading takes its time, so that the superblock says "half done"."""
        recalculate = self.arguments(self.mode, "recalculate")
        return [f"open '{self.arguments(self.mode)}'", "close", "detach",
                f'$guest fill $S/live.img {self.sectors * 2 // 3} 0 {self.seed}', "attach live",
                "slow 20", f"open '{recalculate}'", "sleep 0.45", "snap out", "close", "fast",
                *self._rot(12)]

    def _make_wrong_superblock(self):
        flips = [(0, 1), (8, 64), (10, 1), (28, 1), (12, 3), (50, 8), (511, 1), (31, 4)]
        at, mask = flips[self.seed % len(flips)]
        return [*self._make_clean(),
                f'$guest flip "$(superblock_file out)" {self.start * 512 + at} {mask}']

    def _judge(self):
        more = []
        if "discards" in self.state and self.seed % 3 != 0:
            more.append("allow_discards")
        if self.judged == "B" and "dirty" in self.state:
            more.append("sectors_per_bit:64")
        length = "$SECTORS"
        if self.open == "short":
            length = f"$((SECTORS / 2 / {self.spb} * {self.spb}))"
        if self.state.endswith(("grown", "shrunk")):
            length = "provided"
        return f'judge out "{self.arguments(self.judged, *more)}" {length} {self.spb}'


def pairs(choice):
    return set(itertools.combinations(sorted((k, repr(v)) for k, v in choice.items()), 2))


def choose(count, seed, dimensions=None, is_possible=possible, make=Volume):
    dimensions = dimensions or DIMENSIONS
    dice = random.Random(seed)
    states = dimensions["state"]
    volumes, met = [], set()
    for number in range(count):
        candidates = []
        while len(candidates) < 40:
            choice = {name: dice.choice(values) for name, values in dimensions.items()}
            choice["state"] = states[number % len(states)]
            if is_possible(choice):
                candidates.append(choice)
        best = max(candidates, key=lambda c: len(pairs(c) - met))
        met |= pairs(best)
        volumes.append(make(number, best, dice))
    print(f"{len(met)} pairs of choices", flush=True)
    return volumes
