#!/usr/bin/env python3
"""Fills a repository that is not encrypted with restore points, as docs/repository-format.md has them.

Usage: points.py REPOSITORY NODE POLICIES POINTS AGE  <VOLUMES

Standard input is a line of LVM tags for each volume. The first of POLICIES equal parts of the volumes belongs to
policy-001, the next one to policy-002, and so on. Each volume gets POINTS points of its policy, a day apart, the newest
of AGE seconds ago. Ten thousand real backups would take an hour, and listing them costs the same whatever they hold:
here every volume is all zero, which is a root of 32 zero bytes and needs no pack. All else is as Tuff writes it, so
that a check is content.
"""
import hashlib
import json
import os
import pathlib
import sys
import time

SIZE, BLOCK, POINT = 64 << 20, 65536, 4
DOCUMENT = """apiVersion: tuff.dev/v1
kind: Volume
metadata:
  name: {name}
  labels: {{backup: {policy}}}
spec:
  size: 64Mi
  pool: fast
"""


def text(moment):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))


def write(points, repository, record):
    """One restore point under a new ID, which is returned: a header, and one piece at position 0 behind it."""
    name = os.urandom(16)
    content = json.dumps(record, sort_keys=True, separators=(",", ":")).encode()
    proven = repository + bytes([POINT]) + name + bytes(8) + content
    header = b"TUFFREPO" + (1).to_bytes(2, "little") + bytes([POINT]) + bytes(5) + name
    descriptor = os.open(points / name.hex(), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "wb") as file:
        file.write(header + content + hashlib.sha256(proven).digest()[:16])
    return name.hex()


def main(place, node, policies, count, age):
    place = pathlib.Path(place)
    described = json.loads((place / "repository").read_text().splitlines()[0])
    if described["encryption"] != "none" or described["version"] != 1:
        sys.exit(f"{place} is encrypted, or of a newer format")
    repository = bytes.fromhex(described["id"])
    volumes = sorted(tags["vol"] + " " + tags["uid"] + " " + tags["stack"] for tags in (
        dict(tag.removeprefix("tuff:").split("=", 1) for tag in line.strip().split(",") if tag.startswith("tuff:"))
        for line in sys.stdin) if "vol" in tags)
    if len(volumes) % policies or not volumes:
        sys.exit(f"{len(volumes)} volumes are no equal parts for {policies} policies")
    newest = int(time.time()) - age
    for number, volume in enumerate(volumes):
        name, uid, stack = volume.split()
        policy, parent = f"policy-{number * policies // len(volumes) + 1:03}", None
        for back in reversed(range(count)):
            # Not all in one second: each volume was read after the one before it.
            moment = newest - back * 86400 - number % 600
            record = {
                "series": {"name": name, "node": node, "stack": stack, "uid": uid},
                "time": text(moment), "finished": text(moment + 1), "size": SIZE, "root": "00" * 32,
                "policy": policy, "labels": {"backup": policy}, "document": DOCUMENT.format(name=name, policy=policy),
                "counts": {"blocks": SIZE // BLOCK, "zero": SIZE // BLOCK, "new": 0, "read": SIZE, "stored": 0},
                "program": "tuff 0.1.0",
            }
            if parent:
                record["parent"] = parent
            parent = write(place / "points", repository, record)
    print(len(volumes) * count)


main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:]))
