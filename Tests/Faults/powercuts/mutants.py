"""Deliberate faults beneath the judge's eyes, each of which it must call a violation."""
import pathlib
import subprocess

from powercuts import host
from powercuts.host import GROUP, POOL, REPOSITORY
from powercuts.log import DISCARD


class Mutant:
    """None of them is no fault at all."""

    def __init__(self, name=None):
        self.name = name

    def left_out(self, log, told):
        """The longest write to the repository's file system in the first backup: data of its pack, flushed and
        acknowledged."""
        if self.name != "lost write":
            return None
        marks, (start, length) = log.marks(), told["disk"]
        between = range(marks["apply-1"], marks["done-1"])
        mine = [at for at in between if start <= log.entries[at].sector < start + length
                and not log.entries[at].flags & DISCARD]
        return max(mine, key=lambda at: log.entries[at].count)

    def meddle(self, when):
        if when == "mounted" and self.name == "flipped byte":
            pack = max((REPOSITORY / "packs").rglob("*"), key=lambda path: path.stat().st_size if path.is_file() else 0)
            with open(pack, "r+b") as file:
                file.seek(pack.stat().st_size // 3)
                byte = file.read(1)
                file.seek(-1, 1)
                file.write(bytes([byte[0] ^ 1]))
        elif when == "mounted" and self.name == "lost point":
            newest = max((REPOSITORY / "points").iterdir(), key=lambda path: path.stat().st_mtime)
            newest.unlink()
        elif when == "mounted" and self.name == "volume":
            with open(f"/dev/{GROUP}/v-db", "r+b") as device:
                device.seek(4096)
                device.write(b"meddled with")
        elif when == "mounted" and self.name == "held metadata":
            host.run("dmsetup", "message", POOL, "0", "reserve_metadata_snap")
        elif when == "converged":
            self.leave()

    def leave(self):
        if self.name == "lease":
            (REPOSITORY / "leases" / ("0" * 32)).write_text("of somebody\n")
        elif self.name == "mark":
            subprocess.run(["lvchange", "-qq", "--addtag", "tuff:op=copy", f"{GROUP}/v-db"], check=True)
        elif self.name == "state":
            pathlib.Path(host.STATE / "metadata-hold-x.json").write_text("{}")
