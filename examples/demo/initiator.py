#!/usr/bin/env python3
"""A small initiator on libiscsi: what a client of a Tuff volume would do, without any kernel support.

  initiator.py PORTAL TARGET LUN INITIATOR capacity            prints the size in bytes
  initiator.py PORTAL TARGET LUN INITIATOR serial              prints the unit serial number
  initiator.py PORTAL TARGET LUN INITIATOR write SEED OFFSET   writes 1 MiB of a pattern made from SEED
  initiator.py PORTAL TARGET LUN INITIATOR verify SEED OFFSET  reads 1 MiB back and compares it

Exit status 1, with a sentence, when anything fails. Offsets are in bytes, multiples of 512.
"""
import ctypes
import random
import sys

BLOCK, LENGTH = 512, 1 << 20
library = ctypes.CDLL("libiscsi.so.7")
pointer, integer = ctypes.c_void_p, ctypes.c_int


class Vector(ctypes.Structure):
    _fields_ = [("base", pointer), ("length", ctypes.c_size_t)]


def declare(name, result, *arguments):
    function = getattr(library, name)
    function.restype, function.argtypes = result, list(arguments)
    return function


create = declare("iscsi_create_context", pointer, ctypes.c_char_p)
set_target = declare("iscsi_set_targetname", integer, pointer, ctypes.c_char_p)
set_type = declare("iscsi_set_session_type", integer, pointer, integer)
connect = declare("iscsi_full_connect_sync", integer, pointer, ctypes.c_char_p, integer)
error = declare("iscsi_get_error", ctypes.c_char_p, pointer)
logout = declare("iscsi_logout_sync", integer, pointer)
write10 = declare("iscsi_write10_sync", pointer, pointer, integer, ctypes.c_uint32, ctypes.c_char_p, ctypes.c_uint32,
                  integer, *[integer] * 5)
read10 = declare("iscsi_read10_iov_sync", pointer, pointer, integer, ctypes.c_uint32, ctypes.c_uint32, integer,
                 *[integer] * 5, ctypes.POINTER(Vector), integer)
capacity16 = declare("iscsi_readcapacity16_sync", pointer, pointer, integer)
inquiry = declare("iscsi_inquiry_sync", pointer, pointer, integer, integer, integer, integer)
unmarshall = declare("scsi_datain_unmarshall", pointer, pointer)


class Capacity(ctypes.Structure):  # struct scsi_readcapacity16, its first fields
    _fields_ = [("last", ctypes.c_uint64), ("block", ctypes.c_uint32)]


class Serial(ctypes.Structure):  # struct scsi_inquiry_unit_serial_number
    _fields_ = [("qualifier", integer), ("type", integer), ("page", integer), ("text", ctypes.c_char_p)]


def main(portal, target, lun, initiator, verb, *rest):
    lun = int(lun)
    context = create(initiator.encode())
    set_target(context, target.encode())
    set_type(context, 2)  # ISCSI_SESSION_NORMAL
    if connect(context, portal.encode(), lun) != 0:
        sys.exit(f"{initiator} cannot log in to {target}: {error(context).decode()}")

    def good(task, what):
        # A scsi_task begins with its SCSI status; 0 is GOOD.
        if not task or ctypes.cast(task, ctypes.POINTER(integer))[0] != 0:
            sys.exit(f"{what} failed: {error(context).decode()}")
        return task

    if verb == "capacity":
        found = ctypes.cast(unmarshall(good(capacity16(context, lun), "READ CAPACITY")), ctypes.POINTER(Capacity))[0]
        print((found.last + 1) * found.block)
    elif verb == "serial":
        found = ctypes.cast(unmarshall(good(inquiry(context, lun, 1, 0x80, 255), "INQUIRY")), ctypes.POINTER(Serial))[0]
        print(found.text.decode().strip())
    elif verb in ("write", "verify"):
        seed, offset = int(rest[0]), int(rest[1])
        pattern = random.Random(seed).randbytes(LENGTH)
        # 64 KiB at a time stays below every target's limits.
        for start in range(0, LENGTH, 65536):
            block, piece = (offset + start) // BLOCK, pattern[start:start + 65536]
            if verb == "write":
                good(write10(context, lun, block, piece, len(piece), BLOCK, 0, 0, 0, 0, 0), "WRITE")
                continue
            buffer = ctypes.create_string_buffer(len(piece))
            vector = Vector(ctypes.cast(buffer, pointer), len(piece))
            good(read10(context, lun, block, len(piece), BLOCK, 0, 0, 0, 0, 0, ctypes.byref(vector), 1), "READ")
            if buffer.raw != piece:
                sys.exit(f"what was read at byte {offset + start} is not what was written")
        print(f"{'wrote' if verb == 'write' else 'read back'} 1 MiB at {offset}")
    else:
        sys.exit(f"unknown verb '{verb}'")
    logout(context)


if __name__ == "__main__":
    if len(sys.argv) < 6:
        sys.exit(__doc__)
    main(*sys.argv[1:])
