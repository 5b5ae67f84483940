#!/usr/bin/env python3
"""Holds the raw measurements of one run of scripts/bench against the goals: a table, met or not.

A ratio is of two steps that ran one after the other; the table shows the median of all runs' ratios. By the clock,
and of processor time, the server's and ours together, where the clock may be the neighbours'.
"""

import collections
import pathlib
import statistics
import sys

YAML = "YAML library alone"
STEPS = ["read", "check", "lower", "stamp", "prove", "encode"]
APPLY, DUMP = "apply to the empty database, read back", "the server's dump, thrown away"
READ, PLAN, KNOWN = "connect and read", "plan with nothing to do", "one port more, its rows given"


class Run:
    """Measurements by file, kind, ports and name, each a list with one value a run."""

    def __init__(self, folder):
        self.values = collections.defaultdict(list)
        for path in pathlib.Path(folder).glob("*.csv"):
            for line in path.read_text(encoding="utf-8").splitlines():
                kind, ports, rest = line.split(",", 2)
                if path.stem == "peers":
                    name, clock, cpu = rest.rsplit(",", 2)
                    self.add(path, kind, ports, name, clock)
                    self.add(path, kind, ports, name + ", processors", cpu)
                else:
                    self.add(path, kind, ports, *rest.rsplit(",", 1))

    def add(self, path, kind, ports, name, value):
        self.values[path.stem, kind, int(ports), name].append(float(value))

    def get(self, file, kind, ports, name):
        return self.values.get((file, kind, ports, name), [])

    def sum(self, file, kind, ports, names):
        return [sum(values) for values in zip(*(self.get(file, kind, ports, name) for name in names))]


def ratio(over, under):
    """The median of the runs' ratios; None where one was not measured."""
    ratios = [a / b for a, b in zip(over, under) if b]
    return statistics.median(ratios) if ratios else None


def best(lists):
    """The list with the least median."""
    return min((values for values in lists if values), key=statistics.median, default=[])


class Table:
    def __init__(self):
        self.lines = []

    def add(self, work, goal, measured, bound, unit="×", at_least=False):
        if measured is None:
            return self.lines.append((work, goal, "not measured", ""))
        met = measured >= bound if at_least else measured <= bound
        self.lines.append((work, goal, f"{measured:.2f} {unit}", "met" if met else "missed"))

    def show(self):
        print("| work | goal | measured | |\n|---|---|--:|---|")
        for line in self.lines:
            print("| " + " | ".join(line) + " |")


def compiling(run, ports, table):
    def of(n, suffix="", steps=STEPS):
        return run.sum("compile", "Native", n, [step + suffix for step in steps])

    def most(n):
        peaks = [run.get("compile", "Native", n, step + " peak") for step in STEPS]
        return [max(values) for values in zip(*peaks)]

    yaml = run.get("compile", "Native", ports, YAML)
    table.add(f"compile {ports:,} ports, by the clock", "≤ 2 × the YAML library", ratio(of(ports), yaml), 2)
    for n in sorted({key[2] for key in run.values if key[0] == "compile" and key[2] >= ports}):
        kib = [value / n / 1024 for value in most(n)]
        table.add(f"peak memory of compile, {n:,} ports", "≤ 1.5 KiB a port", statistics.median(kib) if kib else None,
                  1.5, "KiB")
    for n in (1_000, 10_000, 100_000):
        if of(n) and of(10 * n):
            steps = {step: ratio(of(10 * n, steps=[step]), of(n, steps=[step])) for step in STEPS}
            step = max(steps, key=lambda step: steps[step] or 0)
            table.add(f"compile {10 * n:,} ports by {n:,}: all of it", "≤ 11 ×", ratio(of(10 * n), of(n)), 11)
            table.add(f"… its worst step, {step}", "≤ 11 ×", steps[step], 11)
            table.add("… its peak memory", "≤ 11 ×", ratio(most(10 * n), most(n)), 11)


def applying(run, ports, table):
    parts = {"by the clock": [""], "processors": [", server", ", ours"]}

    def of(n, names, part):
        return run.sum("apply", "standalone", n, [name + p for name in names for p in parts[part]])

    def replays(n, part):
        names = {key[3] for key in run.values if key[:3] == ("apply", "standalone", n) and key[3].endswith("transaction")}
        return best([of(n, [name], part) for name in names])

    for part in parts:
        table.add(f"apply {ports:,} ports to an empty database, {part}", "≤ 1.15 × the raw replay",
                  ratio(of(ports, [APPLY], part), replays(ports, part)), 1.15)
    for part in parts:
        table.add(f"plan with nothing to do, {ports:,} ports, {part}", "≤ 1.2 × the dump",
                  ratio(of(ports, [READ, PLAN], part), of(ports, [DUMP], part)), 1.2)
    ours = run.get("apply", "standalone", ports, KNOWN + ", ours")
    table.add(f"one change in {ports:,} ports, replica warm", "≤ 10 ms of ours",
              1000 * statistics.median(ours) if ours else None, 10, "ms")
    small = ports // 10
    for name in [APPLY, READ, PLAN]:
        table.add(f"{name}: {ports:,} ports by {small:,}, processors", "≤ 11 ×",
                  ratio(of(ports, [name], "processors"), of(small, [name], "processors")), 11)


def peers(run, table):
    for kind, ports in sorted({key[1:3] for key in run.values if key[0] == "peers"}):
        for name, said, bound in [("nbctl_chained", "ovn-nbctl chained with `--`", 40), ("ovsdbapp_1000", "ovsdbapp", 20)]:
            for part, suffix in [("by the clock", ""), ("processors", ", processors")]:
                theirs, ours = (run.get("peers", kind, ports, who + suffix) for who in (name, "northc"))
                table.add(f"{ports:,} ports, {kind}, against {said}, {part}", f"≥ {bound} × faster",
                          ratio(theirs, ours), bound, at_least=True)


def main():
    folder, ports = sys.argv[1], int(sys.argv[2])
    run, table = Run(folder), Table()
    compiling(run, ports, table)
    applying(run, ports, table)
    peers(run, table)
    table.show()


if __name__ == "__main__":
    main()
