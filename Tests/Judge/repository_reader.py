#!/usr/bin/env python3
"""A second reader of Tuff's backup repositories, written from docs/repository-format.md alone.

usage: repository_reader.py REPOSITORY [--key-file FILE] [--no-index] [POINT OUT]

Restores POINT (an ID, `latest` or `latest:NAME`) and proves all that it reads; without one it proves every file and record.
--no-index finds records by the packs' own tables. Exit status 1: something is not what it must be, and a sentence says what.
"""
import argparse, functools, hashlib, hmac, json, os, re, stat, struct, sys
import zstandard  # this package and cryptography are what it needs
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

BLOCK, FANOUT, TAG, HEADER, PAGE, MIB = 65536, 32, 16, 32, 4096, 1 << 20
BLOCKS, NODES, INDEX, POINT, MARKS, RECEIPT = 1, 2, 3, 4, 5, 6  # kinds of files
PLAIN, ZSTD, NODE = 0, 1, 2                         # codings of records
FAR = 1 << 63                                       # position of tables and footers
ID, NAME, TIME = "[0-9a-f]{32}", "[0-9a-f]{64}", "[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3])(:[0-5][0-9]){2}Z"


def must(true, sentence):
    if not true:
        raise ValueError(sentence)


def derive(key, salt, info):  # HKDF-SHA-256 of 32 bytes, which is one round of it
    return hmac.digest(hmac.digest(salt, key, "sha256"), info + b"\1", "sha256")


def parse(text, path, **fields):
    """A JSON object whose fields are of the types named, or match the patterns."""
    value = json.loads(text)
    must(isinstance(value, dict), f"{path}: no JSON object")
    for name, rule in fields.items():
        found, kind = value.get(name), rule if isinstance(rule, type) else str
        must(type(found) is kind and (rule is kind or re.fullmatch(rule, found)), f"{path}: bad {name}")
    return value


class File:
    """A regular file, opened without following symbolic links and read with pread."""

    def __init__(self, limit, *path):
        self.path, more = os.path.join(*path), os.O_NOFOLLOW | os.O_NONBLOCK
        self.file = open(self.path, "rb", buffering=0, opener=lambda path, flags: os.open(path, flags | more))
        self.size = (status := os.fstat(self.file.fileno())).st_size
        must(stat.S_ISREG(status.st_mode) and self.size <= limit, f"{self.path}: no regular file of at most {limit} bytes")

    def read(self, offset, length):
        content = os.pread(self.file.fileno(), length, offset) if 0 <= offset <= self.size - length else b""
        must(len(content) == length, f"{self.path}: ends before {offset + length}")
        return content

    def line(self, **fields):
        """One line of JSON that a second line proves: its bytes, and what it says."""
        line, _, proof = self.read(0, self.size).partition(b"\n")
        must(proof == b"sha256 %s\n" % hashlib.sha256(line).hexdigest().encode(), f"{self.path}: does not prove itself")
        return line, parse(line, self.path, **fields)


class Repository:
    def __init__(self, path, secret, with_index):
        self.path, self.key, self.places = path, None, {}
        self.pack = functools.lru_cache(200)(lambda id: self.open((BLOCKS, NODES), 64 * MIB, "packs", id[:2], id))
        line, about = File(4096, path, "repository").line(format="tuff-repository", version=int)
        must(about["version"] <= 1, "a newer Tuff wrote this repository")
        parse(line, "repository", blockSize=int, created=TIME, id=ID, encryption="none|aes-256-gcm")
        must((about["version"], about["blockSize"]) == (1, BLOCK), "repository: not of this format")
        must((about["encryption"] != "none") == bool(secret), f"repository: encryption is {about['encryption']}")
        self.id = bytes.fromhex(about["id"])
        if secret:
            self.key = self.unlock(secret, line)
            self.name_key = derive(self.key, self.id, b"tuff names")
        for places in map(self.index, self.ids("index")) if with_index else map(self.table, self.pack_ids()):
            for place in places:
                self.places.setdefault((place[0], place[4] == NODE), []).append(place)

    def ids(self, *directory):
        return sorted(name for name in os.listdir(os.path.join(self.path, *directory)) if re.fullmatch(ID, name))

    def optional(self, directory):
        return self.ids(directory) if os.path.isdir(os.path.join(self.path, directory)) else []

    def pack_ids(self):
        return [id for byte in sorted(os.listdir(os.path.join(self.path, "packs"))) if re.fullmatch("[0-9a-f]{2}", byte)
                for id in self.ids("packs", byte) if id.startswith(byte)]

    def unlock(self, secret, line):
        for id in self.ids("keys"):
            try:
                _, slot = File(4096, self.path, "keys", id).line(kdf="scrypt", n=int, proof=NAME, salt=NAME, wrapped=".{120}")
                n, wrapped, id = slot["n"], bytes.fromhex(slot["wrapped"]), bytes.fromhex(id)
                must(1 << 14 <= n <= 1 << 18 and n.bit_count() == 1 and (slot.get("r"), slot.get("p")) == (8, 1), "bad scrypt")
                key = hashlib.scrypt(secret, salt=bytes.fromhex(slot["salt"]), n=n, r=8, p=1, dklen=32, maxmem=2047 * MIB)
                key = AESGCM(key).decrypt(wrapped[:12], wrapped[12:], line + id)
                proof = hmac.digest(key, b"tuff slot\0" + id + slot["wrapped"].encode(), "sha256")
                must(proof.hex() == slot["proof"], "not a slot of this repository")
                return key
            except (InvalidTag, OSError, ValueError):
                continue
        raise ValueError("this key opens no slot")

    def open(self, kinds, limit, *path):
        """A file whose header says what its place says."""
        file = File(limit, self.path, *path)
        head, file.id = file.read(0, HEADER), bytes.fromhex(path[-1])
        file.kind = head[10]
        true = b"TUFFREPO" + struct.pack("<HB5x", 1, file.kind) + file.id
        must(head == true and file.kind in kinds, f"{file.path}: bad header")
        file.cipher = self.key and AESGCM(derive(self.key, self.id + file.id, b"tuff piece" + bytes([file.kind])))
        return file

    def piece(self, file, offset, length, position):
        """The content of a piece of so many bytes, proof included, at an offset of a file."""
        stored = file.read(offset, length)
        about = self.id + bytes([file.kind]) + file.id + struct.pack("<Q", position)
        try:
            if file.cipher:
                return file.cipher.decrypt(struct.pack("<Q4x", position), stored, None)
            if hashlib.sha256(about + stored[:-TAG]).digest()[:TAG] == stored[-TAG:]:
                return stored[:-TAG]
        except InvalidTag:
            pass
        raise ValueError(f"{file.path}: the piece at {offset} does not prove itself")

    def place(self, entry, id, path):
        """Where a record is: its name, offset, stored length, length, coding, and the ID of its pack."""
        name, offset, stored, length = *struct.unpack("<32sII", entry[:40]), int.from_bytes(entry[40:43], "little")
        must(HEADER <= offset and 0 < length <= BLOCK and 0 < stored <= length + TAG and entry[43] <= NODE, f"{path}: bad entry")
        return name, offset, stored, length, entry[43], id

    def table(self, id):
        """The places of a pack's records, as its own table has them."""
        file = self.pack(id)
        length, end = struct.unpack("<I12s", file.read(file.size - 16, 16))
        must(end == b"TUFFPACKEND." and length % 44 == TAG and length // 44 <= 65536, f"{file.path}: bad trailer")
        table = self.piece(file, file.size - 16 - length, length, FAR)
        places = [self.place(table[i:i + 44], id, file.path) for i in range(0, len(table), 44)]
        begins, ends = [place[1] for place in places], [place[1] + place[2] for place in places]
        must(all((place[4] == NODE) == (file.kind == NODES) for place in places), f"{file.path}: records of the other kind")
        must([HEADER] + ends == begins + [file.size - 16 - length], f"{file.path}: gaps between records")
        return places

    def index(self, id):
        """The places that an index file knows."""
        file = self.open((INDEX,), 1 << 62, "index", id)
        entries, packs, rest = struct.unpack("<QI36s", self.piece(file, file.size - 64, 64, FAR))
        must(not any(rest + file.read(HEADER, PAGE - HEADER)), f"{file.path}: unused room is not zero")
        first, second, third = -(-entries // 85), -(-packs // 255), -(-entries // (85 * 510))
        must(file.size == PAGE * (1 + first + second + third) + 64, f"{file.path}: bad size")

        def cells(page, pages, number, size):
            content = b"".join(self.piece(file, PAGE * i, PAGE, i) for i in range(page, page + pages))
            must(not any(content[number * size:]), f"{file.path}: unused room is not zero")
            return [content[i:i + size] for i in range(0, number * size, size)]

        all, ids = cells(1, first, entries, 48), [id.hex() for id in cells(1 + first, second, packs, 16)]
        names, numbers = [cell[:32] for cell in all], [int.from_bytes(cell[44:], "little") for cell in all]
        must(names == sorted(names) and max(numbers, default=-1) < packs, f"{file.path}: entries in disorder")
        must(cells(1 + first + second, third, first, 8) == [name[:8] for name in names[::85]], f"{file.path}: bad fences")
        return [self.place(cell[:44], ids[number], file.path) for cell, number in zip(all, numbers)]

    def record(self, name, offset, stored, length, coding, id):
        """The block or node at a place, which its name proves."""
        file = self.pack(id)
        content = self.piece(file, offset, stored, offset) if self.key else file.read(offset, stored)
        try:
            if coding == ZSTD:  # a frame need not say what it yields, but if it does decompress() would trust it
                must(content[:4] == b"\x28\xb5\x2f\xfd", f"{file.path}: no frame at {offset}")
                must(zstandard.frame_content_size(content) in (-1, length), f"{file.path}: bad frame at {offset}")
                content = zstandard.ZstdDecompressor().decompress(content, length, allow_extra_data=False)
        except zstandard.ZstdError as error:
            raise ValueError(f"{file.path}: bad frame at {offset}: {error}")
        named = b"tuff node\0" + content if coding == NODE else content
        true = hmac.digest(self.name_key, named, "sha256") if self.key else hashlib.sha256(named).digest()
        must((len(content), true) == (length, name), f"{file.path}: the record at {offset} is not what its name says")
        return content

    def find(self, name, node):
        why = f"{'node' if node else 'block'} {name.hex()} is nowhere"
        for place in self.places.get((name, node), ()):
            try:
                return self.record(*place)
            except (OSError, ValueError) as error:
                why = str(error)
        raise ValueError(why)

    def point(self, id):
        file = self.open((POINT,), 16 * MIB, "points", id)
        point = parse(self.piece(file, HEADER, file.size - HEADER, 0), file.path, counts=dict, finished=TIME, program=str,
                      root=NAME, series=dict, size=int, time=TIME)
        must(0 <= point["size"] <= BLOCK * FANOUT ** 9 and type(point["series"].get("name")) is str, f"{id}: bad size or name")
        return point | {"id": id}

    def aside(self, id):
        """Whether a person said that the time of a point is not to be believed."""
        try:
            return bool(File(4096, self.path, "aside", id).line(since=TIME))
        except (OSError, ValueError):
            return False

    def choose(self, which):
        points = [p for p in map(self.point, self.ids("points"))
                  if which == p["id"] or which in ("latest", "latest:" + p["series"]["name"]) and not self.aside(p["id"])]
        must(points, "there is no such restore point")
        last = [p for p in points if p["time"] == max(p["time"] for p in points)]
        return max((p for p in last if p["id"] not in [q.get("parent") for q in last]), key=lambda p: p["id"])

    def blocks(self, point):
        """The blocks of a restore point that are not zero, in order: (offset, bytes)."""
        size, root, level = point["size"], bytes.fromhex(point["root"]), 0
        while BLOCK * FANOUT ** (level + 1) < size:
            level += 1
        return self.below(root, level, 0, size) if any(root) else ()

    def below(self, name, level, begin, size):
        content = self.find(name, level >= 0)
        if level < 0:
            must(len(content) == min(BLOCK, size - begin) and any(content), f"block {name.hex()} does not fit at {begin}")
            yield begin, content
            return
        span = BLOCK * FANOUT ** level
        bits, children = int.from_bytes(content[4:8], "little"), min(FANOUT, -(-(size - begin) // span))
        must(content[:4] == bytes([level, children, 0, 0]) and 0 < bits < 1 << children
             and len(content) == 8 + 32 * bits.bit_count(), f"node {name.hex()} does not fit at {begin}")
        for i, child in enumerate(i for i in range(children) if bits >> i & 1):
            yield from self.below(content[8 + 32 * i:40 + 32 * i], level - 1, begin + child * span, size)

    def restore(self, which, path):
        point = self.choose(which)
        with open(path, "wb") as out:
            out.truncate(point["size"])
            for offset, block in self.blocks(point):
                out.seek(offset)
                out.write(block)

    def verify(self):
        tables = {id: set(self.table(id)) for id in self.pack_ids()}
        for place in set().union(*tables.values()):
            self.record(*place)
        for *record, id in (place for index in self.ids("index") for place in self.index(index)):
            must((*record, id) in tables.get(id, {(*record, id)}), f"the index says of pack {id} what its table does not")
        for file in (self.open((MARKS,), 16 * MIB, "marks", id) for id in self.ids("marks")):
            must(len(self.piece(file, HEADER, file.size - HEADER, 0)) % 16 == 0, f"{file.path}: bad length")
        for file in (self.open((RECEIPT,), 4096, "receipts", id) for id in self.optional("receipts")):
            parse(self.piece(file, HEADER, file.size - HEADER, 0), file.path, work="prune|verify|drill", time=TIME,
                  finished=TIME, node=str, stack=str, program=str)
        for _ in (block for id in self.ids("points") for block in self.blocks(self.point(id))):
            pass


if __name__ == "__main__":
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("repository")
    parser.add_argument("--key-file")
    parser.add_argument("--no-index", action="store_true")
    parser.add_argument("what", nargs="*")
    given = parser.parse_intermixed_args()
    try:
        secret = open(given.key_file, "rb").read().removesuffix(b"\n") if given.key_file else None
        repository = Repository(given.repository, secret, not given.no_index)
        repository.restore(*given.what) if given.what else repository.verify()
    except (OSError, ValueError) as error:
        sys.exit(f"reader: {error}")
