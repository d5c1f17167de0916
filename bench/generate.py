#!/usr/bin/env python3
"""Writes a set of documents and the inventory that agrees with it. Usage: generate.py DOCUMENTS FOLDER

DOCUMENTS counts one pool, volumes, and an attachment for every second volume's worth of documents; half of the volumes
exist already and half of those are exported, so that planning has all of comparing, creating and exporting to do.
"""
import json
import pathlib
import sys

count, folder = int(sys.argv[1]), pathlib.Path(sys.argv[2])
folder.mkdir(parents=True, exist_ok=True)
volumes = (count - 1) // 2 + (count - 1) % 2
attachments = count - 1 - volumes
BASE, GIB = "iqn.2026-01.dev.tuff", 1 << 30
LETTERS = "abcdefghijklmnopqrstuvwxyz234567"


def uid(number):
    text = ""
    for _ in range(16):
        text = LETTERS[number % 32] + text
        number //= 32
    return text


def serial(text):
    bits = 0
    for letter in text:
        bits = bits << 5 | LETTERS.index(letter)
    return f"{bits:020x}"


documents = ["""apiVersion: tuff.dev/v1
kind: Pool
metadata: {name: fast}
spec: {lvm: {volumeGroup: vg0, thinPool: tp0}, overprovision: 100}
"""]
for number in range(volumes):
    documents.append(f"""apiVersion: tuff.dev/v1
kind: Volume
metadata:
  name: vol-{number:05}
  labels: {{tier: db, backup: nightly}}
spec:
  size: 1Gi
  pool: fast
""")
for number in range(attachments):
    documents.append(f"""apiVersion: tuff.dev/v1
kind: Attachment
metadata: {{name: vol-{number:05}-on-web}}
spec:
  volume: vol-{number:05}
  iscsi: {{initiator: "iqn.2004-10.com.example:web{number % 50}"}}
""")
for start in range(0, len(documents), 500):
    (folder / f"set-{start:05}.yaml").write_text("---\n".join(documents[start:start + 500]))

logical = [{
    "name": "tp0", "uuid": "pool", "size": 900 * GIB, "tags": [], "layout": "thinPool", "active": True,
    "suspended": False, "open": True, "dataPercent": 1.0, "metadataPercent": 1.0, "metadataSize": GIB,
    "chunkSize": 65536, "health": "",
}]
backstores, targets = [], []
for number in range(volumes // 2):
    name, mark = f"vol-{number:05}", uid(number + 1)
    exported = number % 2 == 0
    logical.append({
        "name": f"v-{name}", "uuid": f"uuid-{number}", "size": GIB, "layout": "thin", "pool": "tp0",
        "active": exported, "suspended": False, "open": exported, "health": "",
        "tags": [f"tuff:iqn={BASE}:{name}", "tuff:stack=default", f"tuff:uid={mark}", f"tuff:vol={name}"],
    })
    if not exported:
        continue
    backstores.append({
        "name": f"tuff-{mark}", "place": f"iblock_{number}", "path": f"/dev/vg0/v-{name}", "enabled": True,
        "discard": True, "identity": {"serial": serial(mark), "vendor": "TUFF", "product": "VOLUME"},
    })
    targets.append({
        "iqn": f"{BASE}:{name}", "place": "", "enabled": True, "portals": ["192.0.2.10:3260"],
        "settings": {"authentication": False, "generate_node_acls": False, "cache_dynamic_acls": False,
                     "demo_mode_write_protect": True, "demo_mode_discovery": False},
        "luns": [{"number": 0, "backstore": f"tuff-{mark}"}], "dynamicSessions": [], "extraPortalGroups": [],
        "acls": [{
            "initiator": f"iqn.2004-10.com.example:web{number % 50}", "sessions": [],
            "mappedLUNs": [{"number": 0, "lun": 0, "readOnly": False}], "chap": {"exposed": [], "followsTarget": True},
        }],
    })
group = {
    "name": "vg0", "uuid": "vg", "size": 1000 * GIB, "free": 99 * GIB, "extentSize": 4 << 20, "missingDevices": 0,
    "lockType": "", "partial": False, "exported": False, "metadataAreaSize": 1 << 28, "metadataAreaFree": 1 << 27, "tags": [], "physicalVolumes": [],
    "logicalVolumes": logical,
}
inventory = {
    "format": 1, "kind": "Inventory", "tuff": "bench",
    "config": {"node": "bench", "portals": ["192.0.2.10:3260"], "iqnBase": BASE, 
               "allow": {"secrets": ["/etc/tuff/secrets"], "images": [], "directories": [], "volumeGroups": ["*"], "nfs": [], "unwiped": False},
               "targetDriver": "lio", "tgtControlPort": 0,
               "guardLimits": {"volumes": {"percent": 20}, "mostVolumes": 3, "attachments": {"percent": 50},
                               "mostAttachments": 5}},
    "observed": {
        "takenAt": {"secondsSince1970": 1795339800}, "volumeGroups": {"entries": {"vg0": {"known": group}}},
        "directories": {"entries": {}}, "secrets": {"entries": {}}, "images": {"entries": {}}, "devices": {"entries": {}},
        "profiles": {"entries": {}}, "timeZones": {"entries": {}},
        "ledger": {"version": 1, "entries": [], "removals": []},
        "targets": {"known": {"backstores": backstores, "targets": targets}},
    },
}
(folder / "inventory.json").write_text(json.dumps(inventory))
