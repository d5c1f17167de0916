#!/usr/bin/python3
"""Removes every target and every backstore of the guest, so that exporting can be measured again."""
import glob
import os

from rtslib_fb import FabricModule

for target in list(FabricModule("iscsi").targets):
    target.delete()
for pattern in ("iblock_*/tuff-*", "iblock_*"):
    for path in glob.glob("/sys/kernel/config/target/core/" + pattern):
        os.rmdir(path)
