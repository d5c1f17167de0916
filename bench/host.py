#!/usr/bin/env python3
"""Times the binary where no kernel is needed, and prints each figure beside its limit. Usage: host.py TUFF

Times are medians of several runs after one warm-up; memory is the largest resident set the kernel counted. Ratios are of
processor time, taken in turn with their floor, so that they hold on a machine that does other work.
"""
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

tuff = str(pathlib.Path(sys.argv[1]).resolve())
here = pathlib.Path(__file__).parent
failed = 0


def run(arguments, runs):
    """Median wall seconds and largest peak memory in MiB."""
    walls, peak = [], 0
    for number in range(runs + 1):
        start = time.perf_counter()
        child = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        error = child.stderr.read()
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode != 0:
            sys.exit(f"{' '.join(arguments)}: exit {child.returncode}: {error.decode()[:500]}")
        if number:
            walls.append(time.perf_counter() - start)
        peak = max(peak, usage.ru_maxrss / 1024)
    return statistics.median(walls), peak


def ratio(arguments, floor, runs):
    """Median of processor seconds over those of the floor, pair by pair."""
    def spent(words):
        child = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode != 0:
            sys.exit(f"{' '.join(words[:4])}: exit {child.returncode}")
        return usage.ru_utime + usage.ru_stime
    # Several parses, since one is too short to be counted well.
    pairs = [(spent(arguments), sum(spent(floor) for _ in range(5)) / 5) for _ in range(runs + 1)]
    return statistics.median(one / other for one, other in pairs[1:])


def tell(what, value, unit, limit):
    global failed
    over = value > limit
    failed += over
    print(f"{what:<58} {value:9.3f} {unit:<4} limit {limit:g}{'   OVER' if over else ''}")


tell("tuff version, wall", run([tuff, "version"], 21)[0] * 1000, "ms", 10)
tell("stripped binary", os.path.getsize(tuff) / 1e6, "MB", 26)
linked = subprocess.run(["ldd", tuff], capture_output=True, text=True, check=True).stdout
names = sorted(line.split()[0].rsplit("/", 1)[-1] for line in linked.splitlines())
print("linked:", " ".join(names))
allowed = ("linux-vdso", "ld-linux", "libc.so", "libm.so", "libstdc++", "libgcc_s", "libyaml", "libz.so", "libbz2", "libzstd", "libpthread", "libdl")
foreign = [name for name in names if not name.startswith(allowed)]
tell("linked beyond libc, libstdc++, libyaml, zlib, bzip2, zstd: " + " ".join(foreign), len(foreign), "", 0)

walls = {}
with tempfile.TemporaryDirectory() as folder:
    for count in (1000, 10000):
        subprocess.run([sys.executable, str(here / "generate.py"), str(count), f"{folder}/{count}"], check=True)
        plan = [tuff, "plan", "-f", f"{folder}/{count}", "--inventory", f"{folder}/{count}/inventory.json"]
        walls[count], peak = run(plan, 5)
        print(f"plan of {count} documents against an inventory: {walls[count]:.3f} s, {peak:.0f} MiB")
        if count == 10000:
            tell("plan of 10,000 documents, wall", walls[count], "s", 1)
            tell("plan of 10,000 documents, peak memory", peak, "MiB", 250)
    compiler = ["cc", "-O2", "-o", f"{folder}/yamlevents", str(here / "yamlevents.c"), "-lyaml"]
    subprocess.run(compiler, check=True)
    floor = [f"{folder}/yamlevents", *map(str, sorted(pathlib.Path(f"{folder}/10000").glob("*.yaml")))]
    tell("plan of 10,000 documents / libyaml's events, CPU", ratio(plan, floor, 7), "x", 10)
    tell("validate 10,000 documents / libyaml's events, CPU", ratio([tuff, "validate", "-f", f"{folder}/10000"], floor, 7), "x", 4)
tell("10,000 documents / 1,000 documents", walls[10000] / walls[1000], "x", 12)

with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
    pathlib.Path(f"{folder}/image").write_bytes(os.urandom(1 << 20))
    backup = [tuff, "backup"]
    subprocess.run([*backup, "init", "--repository", f"{folder}/r"], check=True, stderr=subprocess.DEVNULL)
    one = [*backup, "run", "--repository", f"{folder}/r", "--source", f"{folder}/image", "--name", "db"]
    for _ in range(1000):
        subprocess.run(one, check=True, stdout=subprocess.DEVNULL)
    tell("backup ls of 1,000 restore points, wall", run([*backup, "ls", "--repository", f"{folder}/r"], 5)[0] * 1000, "ms", 200)
sys.exit(1 if failed else 0)
