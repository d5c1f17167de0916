#!/usr/bin/env python3
"""An outside judge: do the JSON Schemas and the program say the same?

    judge.py PATH-OF-TUFF

Reads examples/ and Tests/Judge/wrong/, asks python3-jsonschema about every document and `tuff validate` about every
file. Examples must please both. Wrong files must displease both, except those whose first line says that only the
program can know: those must please the schemas, or the mark is out of date. Debian: python3-jsonschema python3-yaml.
"""
import json
import pathlib
import re
import subprocess
import sys
import tempfile

import jsonschema
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
MARK = "# only the program can know:"


class CoreLoader(yaml.SafeLoader):
    """YAML 1.2's core schema: PyYAML's own resolver is YAML 1.1's, where `no` is false."""

    yaml_implicit_resolvers = {}


for tag, pattern, first in [
    ("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", list("tTfF")),
    ("int", r"^[-+]?[0-9]+$", list("-+0123456789")),
    ("float", r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$", list("-+.0123456789")),
]:
    CoreLoader.add_implicit_resolver("tag:yaml.org,2002:" + tag, re.compile(pattern), first)


def load_schemas():
    schemas = {}
    for path in sorted((ROOT / "schemas").glob("*.json")):
        schema = json.loads(path.read_text())
        jsonschema.Draft202012Validator.check_schema(schema)
        schemas[path.name] = jsonschema.Draft202012Validator(schema)
    return schemas


def schema_complaint(path, schemas):
    """The first complaint of the schemas about a file, None without one."""
    try:
        documents = [d for d in yaml.load_all(path.read_text(), CoreLoader) if d is not None]
    except yaml.YAMLError as error:
        return "unreadable", str(error).replace("\n", " ")
    for document in documents:
        kind = document.get("kind") if isinstance(document, dict) else None
        own = schemas.get(f"{str(kind).lower()}-tuff-v1.json")
        verdicts = {"all.json": next(schemas["all.json"].iter_errors(document), None)}
        if path.parent.name == "config":
            verdicts = {}
        if own is not None:
            verdicts[str(kind)] = next(own.iter_errors(document), None)
        if len(verdicts) == 2 and kind != "Controller" and len({error is None for error in verdicts.values()}) == 2:
            return "inconsistent", f"all.json and the schema of {kind} disagree"
        for error in verdicts.values():
            if error is not None:
                return "refused", f"{error.json_path}: {error.message}"[:200]
    return None


def program_refuses(tuff, path):
    run = subprocess.run([tuff, "validate", "-f", str(path), "-o", "json"], capture_output=True, text=True, timeout=60)
    if run.returncode not in (0, 1):
        raise SystemExit(f"{path}: tuff ended with {run.returncode}: {run.stderr}")
    json.loads(run.stdout)
    return run.returncode == 1


def main():
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    tuff = sys.argv[1]
    schemas = load_schemas()
    failures = []
    counts = {"examples": 0, "wrong": 0, "only the program": 0}

    for path in sorted((ROOT / "examples").rglob("*.yaml")):
        counts["examples"] += 1
        complaint = schema_complaint(path, schemas)
        if complaint:
            failures.append(f"{path}: the schema refuses an example: {complaint[1]}")
        # A controller's configuration is no part of a set; the program's own tests load these.
        if path.parent.name != "config" and program_refuses(tuff, path):
            failures.append(f"{path}: the program refuses an example")

    for path in sorted((ROOT / "Tests/Judge/wrong").glob("*.yaml")):
        counts["wrong"] += 1
        is_marked = path.read_text().startswith(MARK)
        counts["only the program"] += is_marked
        complaint = schema_complaint(path, schemas)
        if not program_refuses(tuff, path):
            failures.append(f"{path.name}: the program accepts it")
        if not is_marked and (complaint is None or complaint[0] != "refused"):
            failures.append(f"{path.name}: the schema does not refuse it: {complaint}")
        if is_marked and complaint and complaint[0] != "unreadable":
            failures.append(f"{path.name}: marked, but the schema knows too: {complaint[1]}")

    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, ROOT / "bench/generate.py", "20", folder], check=True)
        plan = subprocess.run([tuff, "plan", "-f", folder, "--inventory", f"{folder}/inventory.json"],
                              capture_output=True, text=True)
        if plan.returncode != 0:
            failures.append(f"the program does not read what the benchmarks generate: {plan.stderr}")

    print(", ".join(f"{count} {name}" for name, count in counts.items()))
    for failure in failures:
        print("DISAGREE", failure)
    if counts["wrong"] < 60:
        failures.append("the corpus of wrong documents has shrunk")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
