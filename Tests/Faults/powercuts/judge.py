"""Judges a disk as a power cut left it: looks, lets Tuff converge as the administrator would, and looks again.

It reads marks, points and bytes by itself and shares nothing with Tuff, so that a misunderstanding cannot hide in both.
"""
import hashlib
import os
import pathlib
import re
import subprocess

from powercuts import host, story
from powercuts.host import DISK, GROUP, NAME, POOL, REPOSITORY, STATE, Violation

ATOM = 4096


class Moment:
    """What must be found at a cut, by the part of the story that it fell into.

    `write-N`: the user writes, and what step N-1 declared counts. `apply-N`: step N is carried out. `done-N`: it was
    acknowledged.
    """

    def __init__(self, told, contents, phase):
        self.kind, number = phase.split("-")
        self.number = int(number)
        # The step whose documents, consents and clock count, and the last one that was acknowledged.
        self.step = self.number - (self.kind == "write")
        self.acknowledged = self.number - (self.kind != "done")
        self.told, self.contents = told, contents
        self.script, steps = told["script"], told["steps"]
        self.documents, self.words = steps[self.step]["documents"], self.script[self.step]["words"]
        self.clock = self.script[self.step]["clock"]
        self.known = steps[self.acknowledged]["points"] if self.acknowledged >= 0 else []
        self.final = steps[self.step]
        # A volume's bytes are those of one of these two, and which of them may differ from sector to sector.
        changing = self.kind == "write" or self.kind == "apply" and "restore" in self.script[self.number]
        self.before = contents[self.number - 1] if changing else contents[self.number]
        self.after = contents[self.number]

    def must_be_listed(self):
        """Acknowledged points that are there whatever has become of the step: a rule that keeps one may have taken away
        all of its own but the newest."""
        named = [point for point in self.known if point in self.named()]
        ruled = [point for point in self.known if point not in self.named()]
        leaving = self.kind == "apply" and self.words and "restore" not in self.script[self.step]
        return named + (ruled[-1:] if leaving else ruled)

    def named(self):
        """The name of each Backup's point that was recorded."""
        return self.told["backups"]

    def backups(self):
        """Names of Backups that are declared."""
        return set(re.findall(r"kind: Backup\nmetadata: {name: ([a-z0-9]+)}", self.documents))

    def digest(self, point):
        """What a point must hold. One that was not recorded was made after the cut, of what the volume holds now."""
        return self.told["digests"].get(point) or hashlib.sha256(self.contents[self.step]).hexdigest()


class Judge:
    def __init__(self, moment, mutant):
        self.moment, self.mutant = moment, mutant
        # Whether LVM refuses the pool until a person repairs it.
        self.broken = False
        # The volume's content when the power was back.
        self.held = None

    def verdict(self):
        """What is wrong, or None."""
        try:
            host.set_clock(self.moment.clock)
            # The clock of the step's end: nothing that the cut has may be of a time that has not come.
            host.run("date", "-u", "-s", "+5 minutes")
            self.activate()
            host.run("mount", f"/dev/{GROUP}/disk", DISK)
            if self.broken:
                self.repair()
            self.mutant.meddle("mounted")
            self.look_before()
            self.converge()
            self.mutant.meddle("converged")
            self.look_after()
        except Violation as violation:
            return str(violation)
        except subprocess.TimeoutExpired as late:
            return f"did not end: {late}"
        finally:
            self.put_away()
        return None

    def activate(self):
        """As a boot does. What LVM wrote down and has not told the thin pool cannot come up, and holds nothing."""
        done = host.run("vgchange", "-qq", "-ay", GROUP, check=False)
        if not done.returncode:
            return
        if "Manual repair required" in done.stderr:
            self.broken = self.is_miscounted()
            return
        idle = {name for name, row in host.volumes().items()
                if row["lv_active"] != "active" and not row["lv_skip_activation"]}
        if not idle or not all(self.is_owed(name) for name in idle):
            raise Violation(f"{sorted(idle)} cannot be activated: {done.stderr[-600:]}")

    def is_miscounted(self):
        """Whether the cut hit the one moment in which the kernel leaves a pool that LVM refuses: to reserve or release
        a metadata snapshot it writes the superblock before the counts of references that belong to it."""
        host.run("lvchange", "-qq", "-ay", "--yes", f"{GROUP}/tp0_tmeta")
        said = host.run("thin_check", f"/dev/{GROUP}/tp0_tmeta", check=False)
        host.run("lvchange", "-qq", "-an", f"{GROUP}/tp0_tmeta")
        told = [line.strip() for line in (said.stdout + said.stderr).splitlines() if line.startswith("  ")]
        if not told or any("metadata reference counts differ" not in line for line in told):
            raise Violation(f"the thin pool is damaged: {told}")
        return True

    def repair(self):
        """A pass before the repair, whatever it says, harms nothing; then what docs/operations.md tells a person."""
        host.apply(self.moment.documents, self.moment.words, check=(0, 1, 3))
        for volume in host.volumes():
            if volume not in ("disk", "tp0"):
                host.run("lvchange", "-qq", "-an", f"{GROUP}/{volume}")
        host.run("lvconvert", "-qq", "--yes", "--repair", f"{GROUP}/tp0")
        host.run("lvremove", "-qq", "--yes", f"{GROUP}/tp0_meta0")
        host.run("vgchange", "-qq", "-ay", GROUP)

    def look_before(self):
        """What the cut left must be whole, before anything has put it right."""
        self.held = self.look_at_volume(self.moment.before)
        if self.is_making():
            return
        self.look_at_points(self.moment.must_be_listed())

    def is_making(self):
        """Whether the repository may be there in part: a cut while it was made."""
        return self.moment.acknowledged < 0 and host.run(
            host.BINARY, "backup", "ls", "--repository", REPOSITORY, check=False).returncode != 0

    def converge(self):
        """At most three passes until one says that all is well, and another that has nothing to do."""
        moment = self.moment
        for _ in range(3):
            report = host.apply(moment.documents, moment.words, check=(0, 1, 3))
            if report["exitCode"] == 0:
                break
        else:
            wrong = [f"{change['kind']}/{change['name']} {change['verdict']}: {change['summary']} "
                     f"{change.get('error', '')}" for change in report["changes"] if change["verdict"] != "unchanged"]
            raise Violation(f"no convergence in three passes: {wrong}")
        plan = host.plan(moment.documents, moment.words)
        left = {key: number for key, number in plan["counts"].items() if number and key != "unchanged"}
        # A reason beside a change that does nothing says something, too: that a repository was rolled back, for one. A
        # Restore that is over may say so.
        said = [change for change in plan["changes"]
                if change["action"] != "unchanged" or change.get("reason") not in (None, "Executed")]
        if left or said or plan.get("refusal"):
            raise Violation(f"a pass after convergence would still do or say something: {left}, {said}")

    def look_after(self):
        moment = self.moment
        listed = self.look_at_points(moment.must_be_listed())
        self.look_at_purposes(listed)
        # While the user writes there are bytes of both; Tuff changes none of them.
        held = self.look_at_volume(moment.before if moment.kind == "write" else moment.after)
        if moment.kind == "write" and held != self.held:
            raise Violation("bytes that a user wrote have changed")
        copied = moment.script[moment.step].get("copy")
        if copied:
            origin = moment.contents[story.backed_up(moment.script, copied)]
            self.compare("v-copy", origin, origin)
        self.look_for_leftovers(listed)

    def look_at_volume(self, other):
        """Returns what the volume holds, where it is there and up."""
        found = host.volumes()
        if "v-db" not in found:
            if self.moment.acknowledged >= 0:
                raise Violation("the volume is gone")
            return None
        return self.compare("v-db", other, self.moment.after)

    def compare(self, name, one, other):
        """Each piece of a volume that a disk writes as a whole is that of one of two contents. Returns the bytes."""
        if not os.path.exists(f"/dev/{GROUP}/{name}"):
            if self.moment.acknowledged < 0 or name == "v-db" and self.is_owed(name):
                return None
            host.run("lvchange", "-qq", "-ay", f"{GROUP}/{name}")
        held = host.content(name)
        if len(held) != len(other):
            raise Violation(f"{name} has {len(held)} bytes instead of {len(other)}")
        pieces = range(0, len(held), ATOM) if held != other else ()
        wrong = [at for at in pieces if held[at:at + ATOM] not in (one[at:at + ATOM], other[at:at + ATOM])]
        if wrong:
            raise Violation(f"{len(wrong)} pieces of {name} hold what was never written there, the first at {wrong[0]}")
        return held

    def is_owed(self, name):
        host.run("vgcfgbackup", "-qq", "-f", host.RUN / "vg", GROUP)
        return f'create = "{name}"' in (host.RUN / "vg").read_text()

    def look_at_points(self, needed):
        """Every listed point comes back, and every one that was acknowledged is listed. Returns their IDs."""
        listed = [point["id"] for point in host.points()]
        lost = [point for point in needed if point not in listed]
        if lost:
            raise Violation(f"acknowledged restore points are not listed: {lost}, but {listed}")
        for point in listed:
            self.restore(point)
        host.run(host.BINARY, "backup", "check", "--read-data=100%", "--repository", REPOSITORY)
        return listed

    def restore(self, point):
        child = subprocess.Popen(
            [host.BINARY, "backup", "restore", "--repository", REPOSITORY, "--name", "db", "--at", point, "--to", "-"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        digest = hashlib.sha256()
        while piece := child.stdout.read(1 << 20):
            digest.update(piece)
        error = child.stderr.read().decode()
        if child.wait():
            raise Violation(f"restore point {point} cannot be restored: {error[-400:]}")
        if digest.hexdigest() != self.moment.digest(point):
            raise Violation(f"restore point {point} is not what was backed up")

    def look_at_purposes(self, listed):
        """Each declared Backup has one point, and the policy has what its rule keeps: the newest among them."""
        made = {"backup": {}, "policy": []}
        for point in listed:
            text = (REPOSITORY / "points" / point).read_bytes().decode(errors="replace")
            name = re.search(r'"tuff.dev/backup":"([^"]+)"', text)
            if name:
                made["backup"].setdefault(name[1], []).append(point)
            elif '"policy":"nightly"' in text:
                made["policy"].append(point)
            else:
                raise Violation(f"restore point {point} is nobody's")
        wanted = self.moment.backups()
        if set(made["backup"]) != wanted or any(len(points) != 1 for points in made["backup"].values()):
            raise Violation(f"declared are {sorted(wanted)}, and there are {made['backup']}")
        ruled = [point for point in self.moment.final["points"] if point not in self.moment.named()]
        if bool(ruled) != bool(made["policy"]) or len(made["policy"]) > max(1, len(ruled)):
            raise Violation(f"the policy has {made['policy']}, and had {ruled} in the story")

    def look_for_leftovers(self, listed):
        found = host.volumes()
        told = host.kinds(found)
        if told != self.moment.final["volumes"]:
            raise Violation(f"the volumes are {told} instead of {self.moment.final['volumes']}")
        for name, row in found.items():
            base = row["tags"].get("tuff:point")
            if base and base.split("/")[0] not in listed:
                raise Violation(f"the base {name} is of a restore point that is not there: {base}")
        status = host.run("dmsetup", "status", POOL).stdout.split()
        if status[6] != "-" or "needs_check" in status:
            raise Violation(f"the thin pool says {' '.join(status)}")
        state = sorted(path.name for path in STATE.rglob("*"))
        if state != self.moment.final["state"]:
            raise Violation(f"the state directory has {state} instead of {self.moment.final['state']}")
        jobs = pathlib.Path("/run/tuff/jobs")
        if jobs.is_dir() and any(jobs.iterdir()):
            raise Violation(f"{sorted(path.name for path in jobs.iterdir())} is left in {jobs}")
        self.look_at_leases(listed)
        stray = [path.name for path in pathlib.Path("/proc").glob("[0-9]*") if is_ours(path)]
        if stray:
            raise Violation(f"processes {stray} are left")

    def look_at_leases(self, listed):
        """A lease of the boot that was cut may lie there until somebody needs to be alone, and holds up nobody then."""
        leases = REPOSITORY / "leases"
        if any(leases.iterdir()):
            host.run(host.BINARY, "backup", "prune", "--repository", REPOSITORY)
        if any(leases.iterdir()):
            raise Violation(f"{sorted(path.name for path in leases.iterdir())} is left in {leases}")
        if listed != [point["id"] for point in host.points()]:
            raise Violation("a prune without a rule took restore points away")

    def put_away(self):
        for attempt in range(5):
            subprocess.run(["umount", str(DISK)], capture_output=True)
            subprocess.run(["vgchange", "-qq", "-an", GROUP], capture_output=True)
            if not subprocess.run(["dmsetup", "remove", NAME], capture_output=True).returncode:
                return
        # Whatever holds the disk holds the next cut's as well.
        raise RuntimeError("the judged disk cannot be put away")


def is_ours(process):
    try:
        return os.readlink(process / "exe") == host.BINARY
    except OSError:
        return False
