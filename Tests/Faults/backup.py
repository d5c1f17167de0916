#!/usr/bin/python3
"""Kills the program at random moments of backups, prunes and restores, has system calls of it fail, fills its disk, and has many
of it work at once; after each, everything that is listed must come back bit for bit.

Usage: backup.py TUFF [--seed N] [--seconds N] [--log FILE] [--story kills|calls|full|crowd]

Writes a line of JSON for each fault. Exit status 1: something was lost, or a check found damage. The full disk needs root, since
it mounts a small tmpfs in a mount namespace of its own; it says so where that cannot be had.
"""
import argparse
import hashlib
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

parser = argparse.ArgumentParser()
parser.add_argument("tuff", type=lambda text: str(pathlib.Path(text).resolve()))
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--seconds", type=float, default=20)
parser.add_argument("--log")
parser.add_argument("--story", choices=["kills", "calls", "full", "crowd"])
options = parser.parse_args()
BLOCK = 64 << 10
faults = {}
violations = 0


def note(operation, position, verdict="ok"):
    global violations
    faults[operation] = faults.get(operation, 0) + 1
    if verdict != "ok":
        violations += 1
        print(f"VIOLATION backup {operation} at {position}, seed {options.seed}: {verdict}", flush=True)
    if options.log:
        with open(options.log, "a", encoding="utf-8") as log:
            log.write(json.dumps({"id": f"backup-{operation}-{sum(faults.values())}", "level": "L1", "op": f"backup {operation}",
                                  "position": position, "seed": options.seed, "verdict": verdict}) + "\n")


class Repository:
    """One repository, and what each of its restore points must hold."""

    def __init__(self, folder, name="repository"):
        self.folder, self.path = pathlib.Path(folder), f"{folder}/{name}"
        self.digests = {}
        self.run("init")

    def words(self, verb, *words):
        # Otherwise a worker does the work, which no kill and no strace of the command would hit.
        here = [] if verb in ("init", "ls") else ["--in-process"]
        return [options.tuff, "backup", verb, "--repository", self.path, *here, *words]

    def run(self, verb, *words, expect=(0,)):
        done = subprocess.run(self.words(verb, *words), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
        if done.returncode not in expect:
            raise RuntimeError(f"{verb} {' '.join(words)}: exit {done.returncode}: {done.stderr[-600:]}")
        return done

    def points(self):
        return json.loads(self.run("ls", "-o", "json").stdout)["items"]

    def learn(self, digest):
        """Points that are new were made of what has this digest."""
        for point in self.points():
            self.digests.setdefault(point["id"], digest)

    def verify(self, some=None):
        """What is wrong with restore points that are listed; empty: nothing."""
        points = self.points()
        chosen = points if some is None or len(points) <= some else points[-some:]
        for point in chosen:
            target = self.folder / "verified"
            target.unlink(missing_ok=True)
            self.run("restore", "--name", point["name"], "--at", point["id"], "--to", str(target))
            if digest_of(target) != self.digests.get(point["id"]):
                return f"restore point {point['id']} is not what was backed up"
        return ""


def digest_of(path):
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()


def fill(path, generator, blocks):
    """A file of zeros, random and repeated blocks."""
    parts = []
    for _ in range(blocks):
        kind = generator.randrange(3)
        parts.append(bytes(BLOCK) if kind == 0 else generator.randbytes(BLOCK) if kind == 1 else generator.randbytes(64) * (BLOCK // 64))
    pathlib.Path(path).write_bytes(b"".join(parts))


def change(path, generator, count):
    with open(path, "r+b") as image:
        size = os.fstat(image.fileno()).st_size
        for _ in range(count):
            image.seek(generator.randrange(size // BLOCK) * BLOCK)
            image.write(generator.randbytes(BLOCK))


def killed(words, seconds):
    """Runs a command for so long, and kills it then. Whether it had ended before."""
    child = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        child.wait(seconds)
        return True
    except subprocess.TimeoutExpired:
        child.send_signal(signal.SIGKILL)
        child.wait()
        return False
    finally:
        child.stderr.close()


def kills(folder, deadline):
    generator = random.Random(options.seed)
    repository = Repository(folder)
    image = f"{folder}/image"
    fill(image, generator, 256)
    longest = {"run": 0.2, "prune": 0.2, "restore": 0.2}
    while time.monotonic() < deadline:
        operation = generator.choice(["run", "run", "prune", "restore"])
        moment = generator.random() * longest[operation]
        if operation == "run":
            change(image, generator, generator.randrange(60))
            ended = killed(repository.words("run", "--source", image, "--name", "db"), moment)
            repository.learn(digest_of(image))
        elif operation == "prune":
            ended = killed(repository.words("prune", "--keep-last", str(generator.randrange(1, 4)), "--at-once"), moment)
        else:
            points = repository.points()
            if not points:
                continue
            point = generator.choice(points)
            target = f"{folder}/target"
            if generator.random() < 0.5:
                pathlib.Path(target).unlink(missing_ok=True)
            words = ["--name", "db", "--at", point["id"], "--to", target]
            ended = killed(repository.words("restore", *words), moment)
            repository.run("restore", *words)
            if digest_of(target) != repository.digests[point["id"]]:
                note("restore", f"{moment:.3f} s", "a restore that was killed and begun again is not the restore point")
                continue
        # Kills that come too late are made rarer, and too early as well.
        longest[operation] *= 0.9 if ended else 1.05
        note(operation, f"{moment:.3f} s", repository.verify(some=3) or "ok")
    check(repository, "kills")


def check(repository, what):
    done = repository.run("check", "--read-data", expect=(0, 1))
    verdict = repository.verify() or ("" if done.returncode == 0 else done.stdout[-500:])
    note(f"check after {what}", "end", verdict or "ok")


# What writes, as strace(1) names it. That openat fails is a file that cannot be made, or cannot be read.
CALLS = ["write", "fsync", "renameat2", "mkdirat", "unlinkat", "openat", "openat2", "pread64", "getdents64", "newfstatat", "utimensat"]


def calls(folder, deadline):
    """Each system call of a backup and a prune fails, once or from then on: strace injects the error, the kernel does nothing."""
    generator = random.Random(options.seed + 3)
    repository = Repository(folder)
    image = f"{folder}/image"
    fill(image, generator, 96)
    while time.monotonic() < deadline:
        call, error = generator.choice(CALLS), generator.choice(["ENOSPC", "EIO"])
        # Counted for each thread apart.
        position = f"{generator.randrange(1, 30)}{generator.choice(['', '+'])}"
        operation = generator.choice(["run", "run", "run", "prune"])
        if operation == "run":
            change(image, generator, generator.randrange(1, 40))
            words = repository.words("run", "--source", image, "--name", "db")
        else:
            words = repository.words("prune", "--keep-last", str(generator.randrange(1, 4)), "--at-once")
        trace = f"{folder}/trace"
        done = subprocess.run(["strace", "-f", "-qq", "-o", trace, "-e", f"trace={call}", "-e",
                               f"inject={call}:error={error}:when={position}", *words],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
        if "INJECTED" not in pathlib.Path(trace).read_text(errors="replace"):
            repository.learn(digest_of(image))
            continue
        repository.learn(digest_of(image))
        what = f"{operation} with {call} failing"
        # Without its libraries or the list of its descriptors a program cannot even begin (127); 10: it found no repository.
        if done.returncode not in (0, 1, 10, 11, 127):
            note(what, f"{error} at {position}", f"exit {done.returncode}: {done.stderr[-300:]}")
            continue
        verdict = repository.verify(some=2)
        if not verdict and repository.run("run", "--source", image, "--name", "db", expect=(0, 1)).returncode:
            verdict = "the next backup did not succeed"
        repository.learn(digest_of(image))
        note(what, f"{error} at {position}", verdict or "ok")
    check(repository, "failing calls")


def full(folder, deadline):
    """A disk that becomes full under backups; what is listed stays whole, and pruning makes room."""
    generator = random.Random(options.seed + 1)
    small = f"{folder}/small"
    os.mkdir(small)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", small], check=True)
    try:
        repository = Repository(small)
        repository.folder = pathlib.Path(folder)
        image = f"{folder}/full-image"
        fill(image, generator, 120)
        refused = 0
        while time.monotonic() < deadline and refused < 12:
            change(image, generator, 40)
            done = repository.run("run", "--source", image, "--name", "db", expect=(0, 1))
            repository.learn(digest_of(image))
            if done.returncode == 0:
                continue
            refused += 1
            # Not one byte is left, also where a backup gave back what it could not finish.
            with open(f"{small}/filler", "ab", buffering=0) as filler:
                try:
                    while filler.write(bytes(4096)):
                        pass
                except OSError:
                    pass
            verdict = repository.verify()
            if "space" not in done.stderr:
                verdict = verdict or f"the refusal does not say why: {done.stderr[-300:]}"
            note("run on a full disk", f"{refused}", verdict or "ok")
            # The filler stays: only the reserve is there for this.
            done = repository.run("prune", "--keep-last", "1", "--at-once", expect=(0, 1))
            verdict = repository.verify() or ("ok" if done.returncode == 0 else f"prune on a full disk: {done.stderr[-300:]}")
            os.unlink(f"{small}/filler")
            note("prune on a full disk", f"{refused}", verdict)
            done = repository.run("prune", "--keep-last", "1", "--at-once", expect=(0, 1))
            if not os.path.exists(f"{repository.path}/reserve"):
                note("prune with room again", f"{refused}", "the reserve was not made again")
        check(repository, "full disks")
    finally:
        subprocess.run(["umount", "-l", small], check=True)


def crowd(folder, deadline):
    """Eight writers and a pruner at once."""
    generator = random.Random(options.seed + 2)
    repository = Repository(folder, "crowd")
    images = [f"{folder}/image{number}" for number in range(8)]
    for image in images:
        fill(image, generator, 48)
    rounds = 0
    while rounds < 2 or time.monotonic() < deadline:
        rounds += 1
        for image in images:
            change(image, generator, 10)
        writers = [subprocess.Popen(repository.words("run", "--source", image, "--name", f"v{number}"), stdout=subprocess.DEVNULL,
                                    stderr=subprocess.PIPE, text=True) for number, image in enumerate(images)]
        prunes = 0
        while any(writer.poll() is None for writer in writers):
            prunes += repository.run("prune", "--keep-last", "2", "--at-once", expect=(0, 11)).returncode == 0
        known = {point["id"] for point in repository.points()}
        made = 0
        for number, writer in enumerate(writers):
            _, error = writer.communicate()
            # One that met the pruner is told so, and loses nothing.
            if writer.returncode not in (0, 11):
                note("crowd", f"writer {number}", f"exit {writer.returncode}: {error[-300:]}")
            made += writer.returncode == 0
        for point in repository.points():
            if point["id"] not in repository.digests:
                repository.digests[point["id"]] = digest_of(images[int(point["name"][1:])])
        verdict = repository.verify()
        note("crowd", f"round {rounds}: {made} of 8 backups beside {prunes} prunes, {len(known)} points", verdict or "ok")
    check(repository, "a crowd")


def main():
    stories = {"kills": kills, "calls": calls, "full": full, "crowd": crowd}
    chosen = [options.story] if options.story else list(stories)
    shares = {"kills": 0.3, "calls": 0.4, "full": 0.15, "crowd": 0.15}
    if "calls" in chosen and shutil.which("strace") is None:
        print("backup.py: there is no strace: failing system calls are left out")
        chosen.remove("calls")
    if "full" in chosen and os.environ.get("BACKUP_FAULTS_MOUNTS") is None:
        if os.geteuid() == 0 and subprocess.run(["unshare", "-m", "true"], stderr=subprocess.DEVNULL).returncode == 0:
            os.environ["BACKUP_FAULTS_MOUNTS"] = "private"
            os.execvp("unshare", ["unshare", "-m", "--propagation", "private", sys.executable, *sys.argv])
        print("backup.py: no mount namespace can be had: the full disk is left out")
        chosen.remove("full")
    for story in chosen:
        with tempfile.TemporaryDirectory(prefix="tuff-backup-") as folder:
            share = 1 if options.story else shares[story]
            stories[story](folder, time.monotonic() + options.seconds * share)
    told = ", ".join(f"{count} {operation}" for operation, count in sorted(faults.items()))
    print(f"backup faults, seed {options.seed}: {told}; {violations} violations")
    return 1 if violations or not faults else 0


sys.exit(main())
