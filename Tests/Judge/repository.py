#!/usr/bin/env python3
"""Judges repositories that Tuff wrote by a second reader, which was written from docs/repository-format.md alone.

usage: repository.py TUFF

Every restore point has to come back byte for byte, found by the index and by the packs' own tables, plain and encrypted, and
everything in the repository has to prove itself as the document says.
"""
import hashlib
import os
import pathlib
import random
import subprocess
import sys
import tempfile

tuff = str(pathlib.Path(sys.argv[1]).resolve())
reader = pathlib.Path(__file__).with_name("repository_reader.py")
BLOCK = 65536
passed = failed = 0


def run(*words):
    subprocess.run(words, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def judge(what, *words):
    """What the second reader says of a repository."""
    global passed, failed
    said = subprocess.run([sys.executable, reader, *words], capture_output=True, text=True)
    passed += said.returncode == 0
    failed += said.returncode != 0
    if said.returncode:
        print(f"{what}: {said.stderr.strip()[-300:]}")


def compare(what, one, other):
    global passed, failed
    same = pathlib.Path(one).read_bytes() == pathlib.Path(other).read_bytes()
    passed += same
    failed += not same
    if not same:
        print(f"{what}: not the same bytes")


def volume(dice, size):
    """Blocks that are zero, random, compressible or one of a few."""
    kinds = [lambda: bytes(BLOCK), lambda: dice.randbytes(BLOCK), lambda: bytes([dice.randrange(256)]) * BLOCK]
    return b"".join(dice.choice(kinds)() for _ in range(-(-size // BLOCK)))[:size]


def history(folder, dice, key):
    """Backs up a volume that grows, shrinks and changes, and others beside it; what each point has to be."""
    repository, options = f"{folder}/r", ["--key-file", key] if key else []
    command = [tuff, "backup"]
    run(*command, "init", "--repository", repository, *options)
    sizes = [0, 1, BLOCK, BLOCK + 1, 40 * BLOCK, 33 * BLOCK + 777, 33 * BLOCK + 777]
    for number, size in enumerate(sizes):
        image = f"{folder}/image-{number}"
        pathlib.Path(image).write_bytes(volume(dice, size))
        run(*command, "run", "--repository", repository, *options, "--source", image, "--name", f"v{number}")
    # The last one once more, with a list of what changed.
    changed = bytearray(pathlib.Path(f"{folder}/image-6").read_bytes())
    changed[5 * BLOCK + 10:5 * BLOCK + 20] = dice.randbytes(10)
    changed[20 * BLOCK:21 * BLOCK] = bytes(BLOCK)
    pathlib.Path(f"{folder}/image-6").write_bytes(changed)
    pathlib.Path(f"{folder}/changes").write_text(f"{5 * BLOCK + 10} 10\n{20 * BLOCK} {BLOCK}\n")
    run(*command, "run", "--repository", repository, *options, "--source", f"{folder}/image-6", "--name", "v6",
        "--changed-ranges", f"{folder}/changes")
    return repository, options, len(sizes)


def aside(what, repository, options, dice, folder):
    """The last point of a name set aside: both readers take the one before it for the latest."""
    points = pathlib.Path(repository, "points")
    for number in range(2):
        image, before = pathlib.Path(f"{folder}/aside-{number}"), set(points.iterdir())
        image.write_bytes(volume(dice, 3 * BLOCK))
        run(tuff, "backup", "run", "--repository", repository, *options, "--source", image, "--name", "aside")
        last, = set(points.iterdir()) - before
    line = b'{"since":"2026-01-01T00:00:00Z"}'
    receipt = pathlib.Path(repository, "aside", last.name)
    receipt.parent.mkdir(mode=0o700)
    receipt.write_bytes(line + b"\nsha256 %s\n" % hashlib.sha256(line).hexdigest().encode())
    judge(what, repository, *options, "latest:aside", f"{folder}/back")
    compare(what, f"{folder}/back", f"{folder}/aside-0")
    run(tuff, "backup", "restore", "--repository", repository, *options, "--name", "aside", "--to", f"{folder}/back-too")
    compare(what, f"{folder}/back-too", f"{folder}/aside-0")


def look(what, repository, options, count, folder):
    judge(f"{what}: all of it", repository, *options)
    for way in ([], ["--no-index"]):
        for number in range(count):
            name = f"{what} {way} v{number}"
            judge(name, repository, *options, *way, f"latest:v{number}", f"{folder}/back")
            compare(name, f"{folder}/back", f"{folder}/image-{number}")


seed = int(os.environ.get("TUFF_SEED", "1"))
print(f"TUFF_SEED={seed}")
for encrypted in (False, True):
    with tempfile.TemporaryDirectory() as folder:
        key = f"{folder}/key" if encrypted else None
        if key:
            pathlib.Path(key).write_text("a key for a judge\n")
            os.chmod(key, 0o600)
        repository, options, count = history(folder, random.Random(seed), key)
        what = "encrypted" if encrypted else "plain"
        look(what, repository, options, count, folder)
        aside(f"{what}, set aside", repository, options, random.Random(seed), folder)
        run(tuff, "backup", "prune", "--repository", repository, *options, "--keep-last", "1", "--at-once")
        look(f"{what}, pruned", repository, options, count, folder)
print(f"a second reader of repositories: {passed} passed, {failed} failed")
sys.exit(1 if failed or not passed else 0)
