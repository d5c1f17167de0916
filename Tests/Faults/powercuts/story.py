"""The story that is recorded: what each step declares, consents to and writes, and what must be there after it.

A volume is made and written; a first backup, one of what changed, three by a policy that keeps one (so points go, and a
day later the packs that nothing needs), a rollback in place, and another volume from a restore point.
"""
import fcntl
import hashlib
import os
import pathlib
import random
import struct

from powercuts import host
from powercuts.host import BLOCK, DISK, GROUP, NAME, REPOSITORY, STATE

MEBI = 24
BLKDISCARD = 0x1277
DUE = ["--run-due"]
# The clock of each step: at most a day after the last, since more asks for a person's word.
STEPS = [
    {"name": "create", "clock": "2031-03-01 01:00", "words": ["--allow-repository-create"]},
    {"name": "full", "clock": "2031-03-01 01:10", "words": [], "write": "all", "backup": "b0"},
    {"name": "incremental", "clock": "2031-03-01 01:20", "words": [], "write": "some", "backup": "b1"},
    {"name": "policy", "clock": "2031-03-01 02:40", "words": DUE, "write": "some", "policy": True},
    {"name": "second night", "clock": "2031-03-02 02:35", "words": DUE, "write": "some"},
    {"name": "prune", "clock": "2031-03-02 12:10", "words": DUE},
    {"name": "third night", "clock": "2031-03-03 02:30", "words": DUE, "write": "some", "discard": True},
    {"name": "destroy", "clock": "2031-03-03 12:15", "words": DUE},
    {"name": "restore", "clock": "2031-03-03 12:20", "words": DUE, "restore": "b0"},
    {"name": "copy", "clock": "2031-03-03 12:30", "words": DUE, "copy": "b1"},
]
# Stories that take half a minute: after a first backup one thing each.
SHORT = [["create", "full", "incremental", "restore"], ["create", "full", "incremental", "copy"],
         ["create", "full", "policy", "second night", "prune"]]


def script(short):
    """The steps of a story: all, or those of the short one of that number."""
    if short is None:
        return STEPS
    names = SHORT[short % len(SHORT)]
    steps = [step for step in STEPS if step["name"] in names]
    # No step is more than a day after the one before it here either.
    return [{**step, "clock": "2031-03-01 02:30"} if step["name"] in ("restore", "copy") else step for step in steps]


def document(kind, name, spec):
    return f"---\napiVersion: tuff.dev/v1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec: {{{spec}}}\n"


def backed_up(steps, name):
    """The number of the step that makes a Backup."""
    return next(number for number, step in enumerate(steps) if step.get("backup") == name)


def contents(seed, steps):
    """What the volume holds after each step's writes, by number of the step; from the seed alone."""
    pick = random.Random(seed)
    held = bytearray(MEBI << 20)
    after = []
    for step in steps:
        chunks = MEBI * 16
        if step.get("write") == "all":
            # A quarter stays blank, a quarter is compressible, as on disks that people have.
            for chunk in range(chunks):
                kind = pick.randrange(4)
                if kind:
                    held[chunk * BLOCK:(chunk + 1) * BLOCK] = (
                        pick.randbytes(BLOCK) if kind > 1 else pick.randbytes(64) * (BLOCK // 64))
        elif step.get("write") == "some":
            for chunk in pick.sample(range(chunks), max(2, chunks // 100)):
                held[chunk * BLOCK:(chunk + 1) * BLOCK] = pick.randbytes(BLOCK)
        if step.get("discard"):
            place = pick.randrange(MEBI) << 20
            held[place:place + (1 << 20)] = bytes(1 << 20)
        if step.get("restore"):
            held = bytearray(after[backed_up(steps, step["restore"])])
        after.append(bytes(held))
    return after


class Recorder:
    """Tells the story on a device that is recorded."""

    def __init__(self, seed, steps):
        self.steps, self.contents = steps, contents(seed, steps)
        self.documents = (
            document("Pool", "fast", f"lvm: {{volumeGroup: {GROUP}, thinPool: tp0}}, overprovision: 100, reserve: 0%")
            + document("Volume", "db", f"size: {MEBI}Mi, pool: fast")
            + document("BackupRepository", "nas", f"directory: {{path: {REPOSITORY}}}, create: true, "
                       'prune: {schedule: "0 12 * * *", jitter: 0s}'))
        self.digests, self.backups, self.told = {}, {}, []

    def mark(self, text):
        host.run("dmsetup", "message", NAME, "0", "mark", text)

    def tell(self):
        """All steps; returns what each of them declared and left."""
        for number, step in enumerate(self.steps):
            host.set_clock(step["clock"])
            self.write(number, step)
            self.declare(step)
            self.mark(f"apply-{number}")
            report = host.apply(self.documents, step["words"])
            self.mark(f"done-{number}")
            self.look(number, step, report)
        return self.told

    def write(self, number, step):
        """Writes as a disk's user does, who waits for the end of each flush."""
        if "write" not in step:
            return
        host.run("lvchange", "-qq", "-ay", f"{GROUP}/v-db")
        self.mark(f"write-{number}")
        old, new = self.contents[number - 1], self.contents[number]
        device = os.open(f"/dev/{GROUP}/v-db", os.O_WRONLY)
        for place in range(0, len(new), BLOCK):
            if new[place:place + BLOCK] == old[place:place + BLOCK]:
                continue
            if "discard" in step and not any(new[place:place + BLOCK]):
                fcntl.ioctl(device, BLKDISCARD, struct.pack("QQ", place, BLOCK))
            else:
                os.pwrite(device, new[place:place + BLOCK], place)
        os.fsync(device)
        os.close(device)

    def declare(self, step):
        if "backup" in step:
            self.documents += document("Backup", step["backup"], "volume: db, repository: nas")
        if "policy" in step:
            self.documents += document("BackupPolicy", "nightly", "volumes: {names: [db]}, repository: nas, "
                                       'schedule: "30 2 * * *", keep: {last: 1}')
        if "restore" in step:
            uid = host.volumes()["v-db"]["tags"]["tuff:uid"]
            self.documents += document(
                "Restore", "back", f"volume: db, volumeUID: {uid}, "
                f"from: {{backup: {{repository: nas, at: {self.backups[step['restore']]}}}}}")
        if "copy" in step:
            self.documents += document(
                "Volume", "copy", f"size: {MEBI}Mi, pool: fast, "
                f"source: {{backup: {{repository: nas, volume: db, at: {self.backups[step['copy']]}}}}}")

    def look(self, number, step, report):
        digest = hashlib.sha256(self.contents[number]).hexdigest()
        listed = [point["id"] for point in host.points()]
        for point in listed:
            if point not in self.digests and "backup" in step:
                self.backups[step["backup"]] = point
            self.digests.setdefault(point, digest)
        self.told.append({
            "documents": self.documents, "points": listed, "volumes": host.kinds(host.volumes()),
            "state": sorted(path.name for path in STATE.rglob("*")),
            "changes": [f"{change['kind']}/{change['name']} {change['verdict']}: {change['summary']}"
                        for change in report["changes"] if change["verdict"] != "unchanged"]})


def prepare():
    """The group on the recorded device: a thin pool, and an ext4 for ledger and repository."""
    # Nothing becomes durable by waiting: what nobody synced is lost.
    for name in ("dirty_writeback_centisecs", "dirty_background_ratio"):
        pathlib.Path(f"/proc/sys/vm/{name}").write_text("0" if name.startswith("dirty_w") else "80")
    host.run("modprobe", "dm-log-writes")
    host.run("dmsetup", "create", NAME, "--table", f"0 {host.SIZE // 512} log-writes /dev/ubda /dev/ubdb")
    device = f"/dev/mapper/{NAME}"
    host.run("vgcreate", "-qq", "--yes", "--metadatasize", "16m", GROUP, device)
    host.run("lvcreate", "-qq", "--yes", "-L", "192m", "-n", "disk", GROUP)
    host.run("lvcreate", "-qq", "--yes", "--type", "thin-pool", "-L", "320m", "--poolmetadatasize", "8m", "-n", "tp0",
             GROUP)
    host.run("mkfs.ext4", "-q", "-E", "nodiscard,lazy_itable_init=0,lazy_journal_init=0", f"/dev/{GROUP}/disk")
    host.run("mount", "-o", "commit=900", f"/dev/{GROUP}/disk", DISK)
    os.chmod(DISK, 0o755)
    for folder in (STATE, pathlib.Path(DISK / "backups")):
        folder.mkdir(mode=0o700)
    os.sync()


def record(seed, short):
    """Records the story. Returns all that a judge needs beside the log."""
    prepare()
    # The first sector of the ext4 on the disk, and its number of sectors.
    start = int(host.run("pvs", "--noheadings", "--nosuffix", "--units", "s", "-o", "pe_start",
                         f"/dev/mapper/{NAME}").stdout)
    length = (192 << 20) // 512
    host.run("dmsetup", "message", NAME, "0", "mark", "ready")
    steps = script(short)
    recorder = Recorder(seed, steps)
    told = recorder.tell()
    host.run("umount", DISK)
    host.run("vgchange", "-qq", "-an", GROUP)
    host.run("dmsetup", "remove", NAME)
    return {"seed": seed, "script": steps, "steps": told, "digests": recorder.digests,
            "backups": list(recorder.backups.values()), "disk": [start, length]}
