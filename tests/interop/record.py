# SPDX-License-Identifier: BSD-2-Clause
"""What a volume may hold, by the record that its user left (load.c), and whether it does."""

import struct

from volume import SECTOR, Failure, ranges_of

ZEROES = bytes(SECTOR)


class Write:
    def __init__(self, number, first, sectors, kind):
        self.number = number
        self.first = first
        self.sectors = sectors
        self.kind = kind
        self.done = False
        self.durable = False

    @property
    def content(self):
        """Of its sectors: a number, 0 for zeros; None for anything."""
        return {"data": self.number, "zeroes": 0, "discard": None}[self.kind]


FORMATTED = Write(0, 0, 0, "zeroes")


class Record:
    """Block by block, the writes in the order of their submission, which is the order of their
    taking effect. A block holds what the last durable one made of it, or any later one."""

    def __init__(self, path, block_sectors):
        self.block_sectors = block_sectors
        self.writes = {}
        self.later = {}
        flushes = {}
        done = set()
        for line in open(path, encoding="ascii"):
            what, number, *more = line.split()
            number = int(number)
            if what == "w":
                self._submitted(Write(number, int(more[0]), int(more[1]), more[2]))
            elif what == "f":
                flushes[number] = frozenset(done)
            elif what == "F":
                for n in flushes.pop(number):
                    self.writes[n].durable = True
            else:
                done.add(number)
                self.writes[number].done = True
                self.writes[number].durable |= what == "d"

    def _submitted(self, write):
        self.writes[write.number] = write
        for sector in range(write.first, write.first + write.sectors, self.block_sectors):
            self.later.setdefault(sector // self.block_sectors, [FORMATTED]).append(write)

    def shut_down(self):
        for write in self.writes.values():
            write.durable = write.done

    def allowed(self, block):
        """The writes that may be the one that is seen in a block."""
        writes = self.later.get(block, [FORMATTED])
        durable = max((i for i, w in enumerate(writes) if w.durable), default=0)
        return writes[durable:]

    def _sector_is(self, contents, sector):
        """Whose it is: a write's number, or -1 for nobody's."""
        seen = contents[sector * SECTOR:(sector + 1) * SECTOR]
        if seen == ZEROES:
            return 0
        number, where = struct.unpack_from("<QQ", seen)
        return number if where == sector and seen == seen[:16] * (SECTOR // 16) else -1

    def _block_fits(self, contents, block, whole):
        allowed = {w.content for w in self.allowed(block)}
        first = block * self.block_sectors
        seen = {self._sector_is(contents, first + i) for i in range(self.block_sectors)}
        return None in allowed or (seen <= allowed and (not whole or len(seen) == 1))

    def expect(self, contents, unreadable, whole, may_fail):
        """whole: a block is all of one write. may_fail: it may be unreadable while it is not certain
        whose it is."""
        blocks = range(len(contents) // SECTOR // self.block_sectors)
        sectors = {block: block * self.block_sectors for block in blocks}
        failing = {block for block in blocks if sectors[block] in unreadable}
        certain = {block for block in failing if len(self.allowed(block)) == 1}
        if failing and not may_fail or certain:
            raise Failure(f"unreadable: {ranges_of(unreadable)}")
        wrong = [block for block in blocks
                 if block not in failing and not self._block_fits(contents, block, whole)]
        if wrong:
            raise Failure(f"{len(wrong)} blocks have other contents: " +
                          "; ".join(self._story(contents, block) for block in wrong[:3]))

    def _story(self, contents, block):
        first = block * self.block_sectors
        seen = [self._sector_is(contents, first + i) for i in range(self.block_sectors)]
        allowed = [f"{w.number} {w.kind}" for w in self.allowed(block)]
        return f"block {block} has {seen}, may have {allowed}"
