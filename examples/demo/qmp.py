#!/usr/bin/env python3
"""Gives one order to a QEMU over its monitor socket and prints the answer: qmp.py SOCKET ORDER [ARGUMENTS-AS-JSON]"""
import json
import socket
import sys

with socket.socket(socket.AF_UNIX) as monitor:
    monitor.settimeout(30)
    monitor.connect(sys.argv[1])
    stream = monitor.makefile("rw")
    stream.readline()  # QEMU introduces itself.
    for order in ({"execute": "qmp_capabilities"},
                  {"execute": sys.argv[2], "arguments": json.loads((sys.argv[3:] or ["{}"])[0])}):
        stream.write(json.dumps(order) + "\n")
        stream.flush()
        while not {"return", "error"} & (answer := json.loads(stream.readline())).keys():
            pass  # Events come in between.
print(json.dumps(answer))
sys.exit("error" in answer)
