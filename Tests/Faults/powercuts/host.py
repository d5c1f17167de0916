"""The guest's disk stack, and the program as a person runs it: for both the recorder and the judge of `power`."""
import json
import os
import pathlib
import subprocess

WORK = pathlib.Path(os.environ["TUFF_POWER"])
BINARY = os.environ["TUFF_BINARY"]
RUN = pathlib.Path("/run/power")
# One ext4 has the ledger and the repository, and lies in the same group as the pool, so that a cut hits all at once.
DISK = RUN / "disk"
STATE, REPOSITORY = DISK / "state", DISK / "backups/nas"
# A library that syncs nothing, where a mutant wants the program to have it.
CARELESS = WORK / "careless.so"
NAME, GROUP = "power", "vg0"
POOL = f"{GROUP}-tp0-tpool"
# The whole disk below the group.
SIZE = 640 << 20
BLOCK = 65536


class Violation(Exception):
    pass


def say(**line):
    with open(WORK / "said", "a") as file:
        file.write(json.dumps(line) + "\n")


def run(*command, check=True, timeout=200, **settings):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=timeout,
                          stdin=subprocess.DEVNULL, **settings)
    if check and done.returncode:
        raise Violation(f"{' '.join(map(str, command))} ended with {done.returncode}: {done.stderr[-600:]}")
    return done


def be_a_server():
    """This kernel has no board with an id, as servers have, by which a lease of an earlier boot is known to be dead."""
    classes = pathlib.Path("/sys/class")
    names = [path.name for path in classes.iterdir()]
    # Links in sysfs are relative, so the classes stay as deep as they were.
    run("mount", "--bind", classes, "/sys/firmware")
    run("mount", "-t", "tmpfs", "tmpfs", classes)
    for name in names:
        (classes / name).symlink_to(f"/sys/firmware/{name}")
    (classes / "dmi/id").mkdir(parents=True)
    (classes / "dmi/id/product_uuid").write_text("0f3a4c1e-7b52-4a6d-9c1b-5e8d2f60a917\n")


def see_only_the_disk():
    """LVM finds the group on the device that is recorded or judged, and not once more on what lies below it."""
    pathlib.Path("/etc/lvm/lvm.conf").write_text(
        "devices { obtain_device_list_from_udev = 0\n"
        f'global_filter = [ "a|^/dev/mapper/{NAME}$|", "r|.*|" ] }}\n'
        "activation { udev_sync = 0 udev_rules = 0 }\n")
    RUN.mkdir(exist_ok=True)
    DISK.mkdir(exist_ok=True)
    config = RUN / "config.yaml"
    config.write_text(f"""apiVersion: tuff.dev/v1
kind: Controller
spec: {{node: tufflab, portals: ["127.0.0.1:3260"], allow: {{directories: [{DISK}/backups]}}}}
""")
    config.chmod(0o600)


def tuff(*words, check=(0,)):
    preloaded = {"LD_PRELOAD": str(CARELESS)} if CARELESS.exists() else {}
    done = run(BINARY, *words, "--config", RUN / "config.yaml", "--state-directory", STATE, "--lock-file",
               RUN / "lock", "-o", "json", check=False, env={**os.environ, **preloaded})
    # One that cannot even plan, as with a damaged ledger, prints no view.
    if done.returncode not in check or not done.stdout:
        raise Violation(f"tuff {' '.join(map(str, words))} ended with {done.returncode}: "
                        f"{done.stderr[-600:]} {done.stdout[-1500:]}")
    return json.loads(done.stdout)


def apply(documents, words, check=(0,)):
    file = RUN / "set.yaml"
    file.write_text(documents)
    return tuff("apply", "-f", file, "--auto-approve", *words, check=check)


def plan(documents, words):
    file = RUN / "set.yaml"
    file.write_text(documents)
    return tuff("plan", "-f", file, *[word for word in words if word != "--allow-repository-create"])


def points():
    """Restore points that the repository lists, oldest first."""
    return json.loads(run(BINARY, "backup", "ls", "--repository", REPOSITORY, "-o", "json").stdout)["items"]


def volumes():
    """Every visible volume of the group, by name, with its tags."""
    report = json.loads(run("lvs", "--reportformat", "json", "-o", "lv_name,lv_tags,lv_active,lv_skip_activation",
                            GROUP).stdout)
    rows = report["report"][0]["lv"]
    for row in rows:
        row["tags"] = dict((tag.split("=", 1) + [""])[:2] for tag in row["lv_tags"].split(",") if tag)
    return {row["lv_name"]: row for row in rows}


def kinds(found):
    """Names and marks of volumes without what differs from one making to the next, to compare two hosts."""
    told = []
    for name, row in found.items():
        for uid in {row["tags"].get("tuff:uid")} - {None}:
            name = name.replace(uid, "UID")
        told.append(f"{name}: {' '.join(sorted(row['tags']))}")
    return sorted(told)


def content(name):
    with open(f"/dev/{GROUP}/{name}", "rb", buffering=0) as device:
        parts = iter(lambda: device.read(1 << 20), b"")
        return b"".join(parts)


def set_clock(text):
    run("date", "-u", "-s", text)
