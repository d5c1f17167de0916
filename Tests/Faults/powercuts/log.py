"""Reads what dm-log-writes recorded (Documentation/admin-guide/device-mapper/log-writes.rst) and plays it back.

The log has the writes in the order in which the disk had to keep them: a write stands in it once the FLUSH after it
has ended, or at once where it is FUA. So the log up to a FLUSH or FUA is a disk as a power cut leaves it, and of the
writes between two of them any may be there and any may not.
"""
import fcntl
import itertools
import os
import random
import struct

MAGIC = 0x6A736677736872
FLUSH, FUA, DISCARD, MARK = 1, 2, 4, 8
SECTOR = 512
BLKZEROOUT = 0x127F
# Disks keep or lose so much as a whole; what is above is torn somewhere.
ATOM = 4096


class Entry:
    __slots__ = ("sector", "count", "flags", "place", "mark")

    def __init__(self, sector, count, flags, place, mark):
        self.sector, self.count, self.flags, self.place, self.mark = sector, count, flags, place, mark

    @property
    def ends(self):
        """Whether a power cut right after it finds all that stands in the log until then."""
        return bool(self.flags & (FLUSH | FUA))


class Log:
    def __init__(self, path):
        self.file = os.open(path, os.O_RDONLY)
        magic, version, count, size = struct.unpack("<QQQI", os.pread(self.file, 28, 0))
        if magic != MAGIC or version != 1 or size != SECTOR:
            raise RuntimeError(f"{path} is no log of writes: {magic:x}, version {version}, sectors of {size}")
        self.entries = []
        place = SECTOR
        for _ in range(count):
            head = os.pread(self.file, SECTOR, place)
            sector, sectors, flags, length = struct.unpack("<QQQQ", head[:32])
            place += SECTOR
            mark = head[32:32 + length].rstrip(b"\0").decode() if flags & MARK else None
            self.entries.append(Entry(sector, sectors, flags, place, mark))
            if not flags & DISCARD:
                place += sectors * SECTOR

    def marks(self):
        """Where each mark stands."""
        return {entry.mark: at for at, entry in enumerate(self.entries) if entry.mark}

    def play(self, target, entry, limit=None):
        """Writes what an entry has to a device, of it only the first `limit` bytes."""
        if entry.flags & DISCARD:
            fcntl.ioctl(target, BLKZEROOUT, struct.pack("QQ", entry.sector * SECTOR, entry.count * SECTOR))
            return
        done, length = 0, entry.count * SECTOR if limit is None else limit
        while done < length:
            piece = os.pread(self.file, min(1 << 20, length - done), entry.place + done)
            os.pwrite(target, piece, entry.sector * SECTOR + done)
            done += len(piece)

    def lossy(self, at, seed, ordered):
        """Of the writes behind the boundary `at`, which no FLUSH has covered yet: those that the disk's cache had
        written by itself when the power went, as pairs of entry and bytes.

        Of those before the sector `ordered` a first few. LVM's metadata are there, and LVM flushes nothing between a
        new text and the header that points to it: what a disk loses of these costs the group, whoever uses LVM.
        """
        pick = random.Random(seed)
        kept, share = [], pick.random()
        behind = list(itertools.takewhile(lambda entry: not entry.ends, self.entries[at + 1:]))
        own = [entry for entry in behind if entry.sector < ordered and not entry.mark]
        lost = own[pick.randrange(len(own) + 1):]
        for entry in behind:
            if entry.mark or entry in lost or entry not in own and pick.random() > share:
                continue
            length = entry.count * SECTOR
            torn = not entry.flags & DISCARD and entry not in own and length > ATOM and pick.random() < 0.25
            kept.append((entry, pick.randrange(length // ATOM + 1) * ATOM if torn else None))
        return kept


class Disk:
    """A device that goes forward from one cut to the next."""

    def __init__(self, log, path, size):
        self.log, self.at, self.size = log, -1, size
        self.file = os.open(path, os.O_RDWR)
        self.clear()

    def clear(self):
        fcntl.ioctl(self.file, BLKZEROOUT, struct.pack("QQ", 0, self.size))
        self.at = -1

    def forward(self, at, without=None):
        """All that stands in the log up to `at`, but for one entry where a mutant wants that."""
        if at < self.at:
            self.clear()
        for number in range(self.at + 1, at + 1):
            if number != without:
                self.log.play(self.file, self.log.entries[number])
        self.at = at
        # The snapshot over it reads past this page cache.
        os.fsync(self.file)
