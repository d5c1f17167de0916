#!/usr/bin/env python3
"""Lying tools against the real binary, judged from the outside.

    lying.py PATH-OF-TUFF [--seed N] [--seconds S] [--log FILE] [--resume] [--only ID] [--jobs N]

Each case starts a host of its own (a folder with a volume group kept by the stand-in `lvm`, a directory pool, a tree in
the place of configfs), tells `lvm` one lie, runs `tuff apply` into it, and then honestly until all is well. The oracle
below reads tags and sidecars itself and knows nothing of the product. Prints one line for every violation and a count.
"""
import argparse
import concurrent.futures
import datetime
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
CANARY = "canary-91ab-never-printed"
NOW = datetime.datetime.now(datetime.timezone.utc)
READING = ["fullreport", "lvs"]


def stamp(days):
    return (NOW + datetime.timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")


def uid(letter):
    return letter * 16


def tags(letter, name, *more, stack="default"):
    return [f"tuff:uid={uid(letter)}", f"tuff:vol={name}", f"tuff:stack={stack}",
            f"tuff:iqn=iqn.2026-01.dev.tuff:{name}", *more]


def volume(name, number, marks=(), size=16 << 20, **more):
    return {"name": name, "uuid": f"Fake{number:02d}-0000-0000-0000-0000-0000-{number:06d}", "size": size,
            "tags": list(marks), "active": False, "content": number, "skip": False, **more}


def document(name, size="16Mi", pool="fast", **spec):
    return {"apiVersion": "tuff.dev/v1", "kind": "Volume", "metadata": {"name": name},
            "spec": {"size": size, "pool": pool, **spec}}


# What each story starts from and asks for: volumes in the group, documents, consent, and the commands it needs.
STORIES = {
    "create": ([], [document("db")], [], ["lvcreate"]),
    "extend": ([volume("v-db", 5, tags("b", "db"))], [document("db", "32Mi")], [], ["lvextend"]),
    "trash": ([volume("v-db", 5, tags("b", "db"))], [], ["--prune"], ["lvchange", "lvrename"]),
    "untrash": ([volume("t-" + uid("b"), 5, tags("b", "db", "tuff:until=" + stamp(3)), skip=True)], [document("db")], [],
                ["lvchange", "lvrename"]),
    "purge": ([volume("t-" + uid("b"), 5, tags("b", "db", "tuff:until=" + stamp(-1)), skip=True)], [], ["--prune"],
              ["lvremove"]),
    "protect": ([volume("v-db", 5, tags("b", "db"))], [document("db", protect=True)], [], ["lvchange"]),
    "release": ([volume("v-db", 5, tags("b", "db", "tuff:policy=Retain"))], [], ["--prune"], ["lvchange"]),
    "trash now": ([volume("v-db", 5, tags("b", "db", "tuff:policy=Trash/0"))], [], ["--prune", "--allow-destroy"],
                  ["lvchange", "lvrename", "lvremove"]),
    "file": ([], [document("db", pool="dir")], [], []),
}


def lies(verb):
    """Every way to lie about one command, as what the stand-in reads."""
    for status in (1, 2, 3, 4, 5, 126, 127, 255):
        for when in ("instead", "after"):
            yield f"status {status} {when}", {"status": status, "when": when}
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGABRT, signal.SIGKILL, signal.SIGSEGV,
                   signal.SIGPIPE, signal.SIGTERM, signal.SIGBUS, signal.SIGSYS):
        for when in ("instead", "after"):
            yield f"{number.name} {when}", {"signal": int(number), "when": when}
    for when in ("instead", "after"):
        yield f"controller killed {when}", {"kill controller": "now", "when": when}
        yield f"controller killed, child goes on {when}", {"kill controller": "and wait", "seconds": 0.4, "when": when}
        yield f"both killed {when}", {"kill controller": "now", "signal": 9, "when": when}
    yield "slow", {"hang": 0.6, "when": "after"}
    yield "talks of failure", {"stderr": "  Internal error: everything failed.\n", "when": "after"}
    if verb not in READING:
        yield "pretends", {"status": 0, "when": "instead"}
        return
    for percent in (1, 30, 60, 99):
        yield f"truncated to {percent} %", {"kind": "truncated", "percent": percent}
        yield f"truncated to {percent} %, status 5", {"kind": "truncated", "percent": percent, "status": 5}
    for kind in ("empty", "garbage", "trailing", "twice", "nul", "latin1", "deep", "huge", "nothing", "duplicated rows",
                 "duplicated group", "missing rows", "missing section", "duplicate key"):
        yield kind, {"kind": kind}
        yield f"{kind}, status 5", {"kind": kind, "status": 5}
    for seed in range(4):
        yield f"reordered {seed}", {"kind": "reordered", "seed": seed}
    for column in ("lv_name", "lv_uuid", "lv_size", "lv_tags", "lv_active_locally", "lv_device_open"):
        yield f"without {column}", {"kind": "missing column", "column": column}
        for value in ("", "-1", "99999999999999999999", "x", "tuff:uid=bbbbbbbbbbbbbbbb"):
            yield f"{column} is '{value}'", {"kind": "wrong value", "column": column, "value": value}
        yield f"{column} is null", {"kind": "wrong value", "column": column, "value": None}


def cases():
    for story, (_, _, _, verbs) in STORIES.items():
        for verb in READING + verbs:
            # Observed before, checked, observed after.
            for nth in range(2 if verb in ("fullreport", "lvs", "lvchange") else 1):
                for name, lie in lies(verb):
                    for forever in (False, True):
                        if forever and nth:
                            continue
                        title = f"{story} / {verb} {nth} / {name} / {'for ever' if forever else 'once'}"
                        yield title, story, {"verb": verb, "nth": nth, "forever": forever, **lie}


class Host:
    """One folder that is a host."""

    def __init__(self, tuff, story):
        self.tuff = tuff
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="tuff-lying-"))
        self.volumes, self.documents, self.consent, _ = STORIES[story]
        for name in ("tools", "pool", "run", "target/core", "target/iscsi"):
            (self.path / name).mkdir(parents=True)
        self.tools = self.path / "tools"
        (self.tools / "lvm").symlink_to(HERE / "lvm")
        pool = volume("tp0", 1, size=90 << 30, active=True)
        others = [volume("foreign", 2, ["backup"]), volume("v-theirs", 3, tags("c", "theirs", stack="other")),
                  volume("v-keep", 4, tags("d", "keep", "tuff:protect")), volume("v-stay", 6, tags("e", "stay"))]
        state = {"name": "vg0", "uuid": "FakeVG-0000-0000-0000-0000-0000-000000", "pool": "tp0", "minted": 100,
                 "volumes": {one["name"]: one for one in [pool, *others, *self.volumes]}}
        (self.tools / "state.json").write_text(json.dumps(state))
        (self.path / "pool/notes.txt").write_text("somebody else's\n")
        (self.path / "secret").write_text(CANARY + "\n")
        (self.path / "secret").chmod(0o600)
        (self.path / "run").chmod(0o700)
        (self.path / "config.yaml").write_text(
            "apiVersion: tuff.dev/v1\nkind: Controller\n"
            f'spec: {{node: n, portals: ["127.0.0.1:3260"], allow: {{secrets: ["{self.path}/secret"], '
            f'directories: ["{self.path}/pool"]}}}}\n')
        (self.path / "config.yaml").chmod(0o644)
        pools = [
            {"apiVersion": "tuff.dev/v1", "kind": "Pool", "metadata": {"name": "fast"},
             "spec": {"lvm": {"volumeGroup": "vg0", "thinPool": "tp0"}, "overprovision": 4}},
            {"apiVersion": "tuff.dev/v1", "kind": "Pool", "metadata": {"name": "dir"},
             "spec": {"directory": {"path": str(self.path / "pool")}}}]
        stays = [document("keep", protect=True), document("stay")]
        # JSON is YAML.
        (self.path / "set.yaml").write_text(
            "\n---\n".join(json.dumps(one) for one in [*pools, *stays, *self.documents]) + "\n")
        self.outputs = []

    def close(self):
        shutil.rmtree(self.path, ignore_errors=True)

    def state(self):
        return json.loads((self.tools / "state.json").read_text())["volumes"]

    def journal(self):
        path = self.tools / "journal.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def lie(self, lie):
        (self.tools / "counts.json").unlink(missing_ok=True)
        (self.tools / "lied").unlink(missing_ok=True)
        (self.tools / "lie.json").unlink(missing_ok=True)
        if lie:
            (self.tools / "lie.json").write_text(json.dumps(lie))

    def apply(self, *more, sampler=None, timeout=120):
        (self.tools / "journal.jsonl").unlink(missing_ok=True)
        arguments = [
            self.tuff, "apply", "-f", self.path / "set.yaml", "--auto-approve", "-o", "json", "--config",
            self.path / "config.yaml", "--lock-file", self.path / "run/lock", "--state-directory",
            self.path / "run/state", "--target-root", self.path / "target", "--tool-path", self.tools, *self.consent,
            *more]
        process = subprocess.Popen(
            [str(word) for word in arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, env={"PATH": "/usr/bin:/bin", "SWIFT_BACKTRACE": "enable=no"})
        (self.tools / "controller").write_text(str(process.pid))
        if sampler:
            sampler(process)
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            return "timeout", out.decode(errors="replace"), err.decode(errors="replace")
        self.outputs += [out, err]
        return process.returncode, out.decode(errors="replace"), err.decode(errors="replace")


def mark(volume, key):
    for tag in volume["tags"]:
        if tag == f"tuff:{key}":
            return ""
        if tag.startswith(f"tuff:{key}="):
            return tag[len(f"tuff:{key}="):]
    return None


def judge(host, before, after):
    """I1 to I3 and I8 for whatever happened between two states of the group."""
    found = []
    by_uuid = {one["uuid"]: one for one in after.values()}
    declared = {one["metadata"]["name"] for one in host.documents} | {"keep", "stay"}
    prune, destroy = "--prune" in host.consent, "--allow-destroy" in host.consent
    for old in before.values():
        new = by_uuid.pop(old["uuid"], None)
        name = old["name"]
        mine = mark(old, "uid") is not None and mark(old, "stack") == "default"
        if not mine:
            if new != old:
                found.append(f"I2 {name} is not ours and was touched: {new}")
            continue
        label, until = mark(old, "vol"), mark(old, "until")
        if new is None:
            expired = until is not None and until < stamp(0)
            at_once = mark(old, "policy") == "Trash/0" and destroy
            if mark(old, "protect") is not None or not prune or label in declared or not (expired or at_once):
                found.append(f"I3 {name} is gone")
            continue
        if new["content"] != old["content"] or new["size"] < old["size"]:
            found.append(f"I1 {name} has other bytes or shrank")
        for key in ("uid", "iqn", "stack", "vol"):
            if mark(new, key) != mark(old, key):
                found.append(f"I8 {name}: {key} is {mark(new, key)}")
        if mark(old, "protect") is not None and mark(new, "protect") is None:
            found.append(f"I3 {name} is no longer protected")
        leaves = mark(new, "until") is not None or mark(new, "released") is not None
        if leaves and until is None and mark(old, "released") is None:
            if not prune or label in declared or mark(old, "protect") is not None:
                found.append(f"I3 {name} left use")
            if (mark(old, "policy") == "Retain") != (mark(new, "released") is not None):
                found.append(f"I3 {name} left against its policy")
    for new in by_uuid.values():
        label = mark(new, "vol")
        if label not in declared:
            found.append(f"I2 {new['name']} was made and nobody declared it")
        if any(mark(old, "vol") == label and mark(old, "stack") == "default" for old in before.values()):
            found.append(f"I8 {new['name']} was made though {label} is there")
    return found


def judge_settled(host, after):
    found = []
    declared = {one["metadata"]["name"]: one for one in host.documents}
    labels = [mark(one, "vol") for one in after.values() if mark(one, "uid") and mark(one, "stack") == "default"]
    for label in set(labels):
        if labels.count(label) > 1:
            found.append(f"I6 {label} is there {labels.count(label)} times")
    for one in after.values():
        if mark(one, "uid") is None or mark(one, "stack") != "default" or mark(one, "vol") in ("keep", "stay"):
            continue
        label, home = mark(one, "vol"), "v-" + mark(one, "vol")
        if mark(one, "until") is not None:
            home = "t-" + mark(one, "uid")
            if not one["skip"] or one["active"]:
                found.append(f"I6 {one['name']} is in the trash and may come back at boot")
        elif mark(one, "released") is None and label not in declared:
            found.append(f"I4 {label} is undeclared and in use")
        if one["name"] != home:
            found.append(f"I6 {one['name']} should be {home}")
        if mark(one, "op") is not None:
            found.append(f"I6 {one['name']} is unfinished")
    files = sorted(str(path.relative_to(host.path / "pool")) for path in (host.path / "pool").rglob("*") if path.is_file())
    for label, one in declared.items():
        size = int(one["spec"]["size"].removesuffix("Mi")) << 20
        if one["spec"]["pool"] == "dir":
            if f"v-{label}" not in files or len(files) != 3:
                found.append(f"I6 in the directory: {files}")
            continue
        there = [volume for volume in after.values() if mark(volume, "vol") == label]
        if len(there) != 1 or there[0]["size"] != size or mark(there[0], "until") is not None:
            found.append(f"I4 {label} is not as declared: {there}")
        if one["spec"].get("protect") and there and mark(there[0], "protect") is None:
            found.append(f"I4 {label} is not protected")
    if "notes.txt" not in files or (host.path / "pool/notes.txt").read_text() != "somebody else's\n":
        found.append("I2 somebody else's file")
    left = sorted(path.name for path in (host.path / "run").rglob("*") if path.is_file())
    if any(name not in ("lock", "ledger.json", "accepted-default.json") for name in left):
        found.append(f"I6 left in the state directory: {left}")
    return found


def reveals(host):
    """The canary in anything that was printed or kept, but for the secret file itself."""
    texts = list(host.outputs)
    texts += [path.read_bytes() for path in host.path.rglob("*") if path.is_file() and path.name != "secret"]
    return ["I7 the secret was written down"] if any(CANARY.encode() in text for text in texts) else []


def run(tuff, title, story, lie):
    host = Host(tuff, story)
    try:
        found, start = [], host.state()
        # A first look, so that the ledger knows what there is; nothing but the story's own work may be left to do.
        host.lie(lie)
        before = start
        codes = []
        for _ in range(2 if lie["forever"] else 1):
            code, out, err = host.apply()
            codes.append(code)
            after = host.state()
            found += judge(host, before, after)
            if code == "timeout":
                found.append("I4 it never came back")
            # 11: a child of a controller that was killed still runs, and is waited for below.
            elif code not in (0, 1, 3, -9) and not (code == 11 and "kill controller" in lie):
                found.append(f"exit code {code}: {err[-300:]}")
            before = after
        was_told = (host.tools / "lied").exists()
        host.lie(None)
        finished = False
        for attempt in range(4):
            code, out, err = host.apply("--lock-timeout", "30s")
            after = host.state()
            found += judge(host, before, after)
            before = after
            changed = [entry for entry in host.journal() if not entry["reads"]]
            if code == 0 and not changed:
                finished = True
                break
        if not finished:
            found.append(f"I4 not converged after four passes: exit {code}, {[c['arguments'] for c in changed]}, {err[-500:]}")
        else:
            found += judge_settled(host, after)
        found += reveals(host)
        return title, found, was_told
    except Exception as error:  # A fault of the harness is no silent pass.
        return title, [f"harness: {error!r}"], True
    finally:
        host.close()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("tuff")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--log")
    parser.add_argument("--resume", action="store_true", help="leave out what the log says was told and went well")
    parser.add_argument("--only", help="a part of a case's title")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--list", action="store_true")
    given = parser.parse_args()
    everything = list(cases())
    if given.list:
        print("\n".join(title for title, _, _ in everything))
        return 0
    random.Random(given.seed).shuffle(everything)
    if given.only:
        everything = [case for case in everything if given.only in case[0]]
    if given.resume and given.log and os.path.exists(given.log):
        told = [json.loads(line) for line in open(given.log)]
        done = {one["id"] for one in told if one["verdict"] == "ok"}
        everything = [case for case in everything if case[0] not in done]
    end, count, violations, untold = time.monotonic() + given.seconds, 0, 0, 0
    log = open(given.log, "a") if given.log else None
    tuff = str(pathlib.Path(given.tuff).resolve())

    def one(case):
        return run(tuff, *case) if time.monotonic() < end else None

    with concurrent.futures.ThreadPoolExecutor(given.jobs) as pool:
        for result in pool.map(one, everything):
            if result is None:
                continue
            title, found, was_told = result
            count += was_told
            untold += not was_told
            for sentence in found:
                violations += 1
                print(f"VIOLATION {sentence}\n  case: {title}\n  again: Tests/Faults/lying.py {given.tuff} --only '{title}'")
            if log and was_told:
                log.write(json.dumps({"id": title, "level": "L1", "seed": given.seed, "op": title.split(" / ")[0],
                                      "position": " / ".join(title.split(" / ")[1:]),
                                      "verdict": "ok" if not found else "; ".join(found)}) + "\n")
    print(f"lying tools, seed {given.seed}: {count} of {len(everything)} lies told, {untold} not asked for, "
          f"{violations} violations")
    return 1 if violations else 0


sys.exit(main())
