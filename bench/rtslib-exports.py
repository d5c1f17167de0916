#!/usr/bin/env python3
"""The peer of the export step: the same targets with python3-rtslib-fb. Usage: rtslib-exports.py FIRST COUNT

Prints the seconds from the first object to the last, without the start of Python or the imports; then removes them.
"""
import sys
import time

from rtslib_fb import BlockStorageObject, FabricModule, LUN, MappedLUN, NetworkPortal, NodeACL, TPG, Target

first, count = int(sys.argv[1]), int(sys.argv[2])
fabric = FabricModule("iscsi")
made = []
start = time.perf_counter()
for number in range(first, first + count):
    storage = BlockStorageObject(f"peer-{number}", dev=f"/dev/vg0/v-vol-{number:05}", wwn=f"{number:020x}")
    storage.set_attribute("emulate_tpu", 1)
    target = Target(fabric, f"iqn.2003-01.org.example.peer:vol-{number:05}")
    group = TPG(target, 1)
    for name, value in (("authentication", 0), ("generate_node_acls", 0), ("cache_dynamic_acls", 0),
                        ("demo_mode_write_protect", 1), ("demo_mode_discovery", 0)):
        group.set_attribute(name, value)
    lun = LUN(group, 0, storage)
    acl = NodeACL(group, "iqn.2004-10.com.example:web1")
    MappedLUN(acl, 0, lun)
    NetworkPortal(group, "127.0.0.1", 3261)
    group.enable = True
    made.append((target, storage))
print(f"{time.perf_counter() - start:.6f}")
for target, storage in made:
    target.delete()
    storage.delete()
