#!/usr/bin/env python3
"""An outside judge of schedules: when does a cron expression come in a time zone?

    schedule.py [check]               asks again about every case of Tests/TuffScheduleTests/Golden/occurrences.json
    schedule.py write SEED COUNT PATH  makes such a file; Tests/TuffScheduleTests reads another one's path from
                                       TUFF_SCHEDULE_CASES

What fields mean is croniter's answer, what clocks show is zoneinfo's; the rules that join them are those of
Sources/TuffSchedule/Occurrences.swift, written a second time in another way: all days one by one. The zones'
files are part of the cases, so that a new tz database changes no answer. Debian: python3-croniter tzdata.
"""
import base64
import datetime
import io
import json
import pathlib
import random
import sys
import zoneinfo

import croniter

GOLDEN = pathlib.Path(__file__).resolve().parents[1] / "TuffScheduleTests/Golden/occurrences.json"
UTC = datetime.timezone.utc
EPOCH = datetime.datetime(1970, 1, 1)
SECOND = datetime.timedelta(seconds=1)
# Usual ones, halves and quarters of hours, a day left out, seconds, winter time, two hours, changes at midnight and before.
ZONES = """UTC Europe/Zurich America/New_York Australia/Lord_Howe America/Santiago Asia/Kolkata Europe/Dublin
    Africa/Casablanca Pacific/Apia Asia/Tehran America/St_Johns Antarctica/Troll Africa/Cairo America/Nuuk Pacific/Chatham
    Africa/Monrovia America/Havana Asia/Gaza""".split()


class Zone:
    def __init__(self, name, data):
        self.info = zoneinfo.ZoneInfo.from_file(io.BytesIO(data), key=name)
        # How far apart what clocks show and the order of instants get.
        self.slack = datetime.timedelta(hours=26 if name == "Pacific/Apia" else 4)

    def wall(self, instant):
        aware = datetime.datetime.fromtimestamp(0, UTC) + SECOND * instant
        return aware.astimezone(self.info).replace(tzinfo=None, fold=0)

    def shown(self, wall, fold):
        """The instant at which clocks show `wall`, and whether they ever do."""
        aware = wall.replace(tzinfo=self.info, fold=fold)
        instant = round((wall - aware.utcoffset() - EPOCH).total_seconds())
        return instant, self.wall(instant) == wall

    def jump_over(self, wall):
        """The instant at which clocks jump over `wall`."""
        low, high = self.shown(wall, 1)[0], self.shown(wall, 0)[0]
        before = self.wall(low) - EPOCH - SECOND * low
        while high - low > 1:
            middle = (low + high) // 2
            if self.wall(middle) - EPOCH - SECOND * middle == before:
                low = middle
            else:
                high = middle
        return high

    def instants(self, wall, every_hour):
        first, is_shown = self.shown(wall, 0)
        if every_hour:
            second, is_shown_again = self.shown(wall, 1)
            return {i for i, real in ((first, is_shown), (second, is_shown_again)) if real}
        return {first if is_shown else self.jump_over(wall)}


def walls(expression, start, forwards):
    """What clocks that never jump show when `expression` comes, from `start`'s day on."""
    fields = expression.split()
    either = not fields[2].startswith("*") and not fields[4].startswith("*")
    # croniter itself walks wrongly from some ends of February, and takes a list of all weekdays for a star.
    sets = [set(field) for field in croniter.croniter.expand(expression)[0]]
    minutes, hours, days, months, weekdays = (
        set(range(low, high + 1)) if "*" in numbers else numbers
        for numbers, (low, high) in zip(sets, [(0, 59), (0, 23), (1, 31), (1, 12), (0, 6)])
    )
    times = [datetime.time(hour, minute) for hour in sorted(hours) for minute in sorted(minutes)]
    for distance in range(45 * 366):
        day = start.date() + datetime.timedelta(days=distance if forwards else -distance)
        is_day, is_weekday = day.day in days, day.isoweekday() % 7 in weekdays
        if day.month in months and (is_day or is_weekday if either else is_day and is_weekday):
            for time in times if forwards else reversed(times):
                yield datetime.datetime.combine(day, time)


def answer(expression, zone, now, forwards):
    hours = croniter.croniter.expand(expression)[0][1]
    every_hour = "*" in hours or len(set(hours)) == 24
    direction = 1 if forwards else -1
    best = None
    for wall in walls(expression, zone.wall(now) - direction * zone.slack, forwards):
        if best is not None and direction * (wall - zone.wall(best)) > zone.slack:
            break
        for instant in zone.instants(wall, every_hour):
            if direction * (instant - now) > 0 and (best is None or direction * (best - instant) > 0):
                best = instant
    return best


def random_field(rng, low, high, names=()):
    def item():
        kind = rng.random()
        first = rng.randint(low, high)
        last = rng.randint(first, high)
        if kind < 0.55:
            return rng.choice(names) if names and kind < 0.15 else str(first)
        if kind < 0.8 and last > first:
            return f"{first}-{last}" + (f"/{rng.randint(1, 9)}" if kind < 0.65 else "")
        return f"*/{rng.randint(2, max(2, (high - low) // 2))}"

    return ",".join(item() for _ in range(rng.choice([1, 1, 1, 2, 3])))


def random_expression(rng):
    minute = random_field(rng, 0, 59) if rng.random() < 0.95 else "*"
    hour = rng.choice(["*", "0-23"]) if rng.random() < 0.25 else random_field(rng, 0, 23)
    if rng.random() < 0.5:
        hour = rng.choice(["0", "1", "2", "3", "1,2", "2-3", "*/2", "23"]) if hour != "*" else hour
    day, month, weekday = "*", "*", "*"
    if rng.random() < 0.3:
        day = random_field(rng, 1, 31)
    if rng.random() < 0.2:
        month = random_field(rng, 1, 12, ["jan", "mar", "apr", "sep", "oct", "nov"])
    if rng.random() < 0.3:
        weekday = random_field(rng, 0, 6, ["sun", "mon", "sat"])
    return f"{minute} {hour} {day} {month} {weekday}"


def random_instant(rng, zone):
    """Within 1973 to 2099, mostly within two days of a change of the clocks, to the second."""
    now = rng.randint(94_694_400, 4_070_908_800)
    if rng.random() < 0.2:
        return now
    step = 30 * 86400
    for _ in range(14):
        if zone.wall(now) - SECOND * now != zone.wall(now + step) - SECOND * (now + step):
            low, high = now, now + step
            while high - low > 1:
                middle = (low + high) // 2
                if zone.wall(middle) - SECOND * middle == zone.wall(low) - SECOND * low:
                    low = middle
                else:
                    high = middle
            near = high + rng.choice([0, 0, -1, 1, -3600, 3600, rng.randint(-10800, 10800), rng.randint(-172800, 172800)])
            return near
        now += step
    return now


def write(seed, count, path):
    rng = random.Random(seed)
    files = {name: (pathlib.Path("/usr/share/zoneinfo") / name).read_bytes() for name in ZONES}
    zones = {name: Zone(name, data) for name, data in files.items()}
    cases = []
    while len(cases) < count:
        name = rng.choice(ZONES)
        expression = random_expression(rng)
        now = random_instant(rng, zones[name])
        found = [answer(expression, zones[name], now, forwards) for forwards in (True, False)]
        if None not in found:  # a date that never comes
            cases.append([expression, name, now, *found])
    lines = ",\n".join("  " + json.dumps(case) for case in cases)
    packed = ",\n".join(f'  "{name}": "{base64.b64encode(data).decode()}"' for name, data in sorted(files.items()))
    pathlib.Path(path).write_text(f'{{"seed": {seed}, "zones": {{\n{packed}\n}}, "cases": [\n{lines}\n]}}\n')


def check():
    golden = json.loads(GOLDEN.read_text())
    zones = {name: Zone(name, base64.b64decode(data)) for name, data in golden["zones"].items()}
    wrong = 0
    for expression, name, now, following, preceding in golden["cases"]:
        found = [answer(expression, zones[name], now, forwards) for forwards in (True, False)]
        if found != [following, preceding]:
            wrong += 1
            print(f"{expression} in {name} at {now}: {following}, {preceding} became {found}")
    print(f"schedules: {len(golden['cases'])} cases asked again, {wrong} answered otherwise")
    return 1 if wrong or not golden["cases"] else 0


if len(sys.argv) == 5 and sys.argv[1] == "write":
    write(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
elif sys.argv[1:] in ([], ["check"]):
    sys.exit(check())
else:
    sys.exit(__doc__)
