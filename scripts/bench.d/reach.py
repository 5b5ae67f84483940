#!/usr/bin/env python3
"""Who reaches whom: every step of `cargo bench --bench reach`, medians of some runs; raw values are kept.

One pair and all pairs of PORTS machines in 50 VPCs, what one rule opens and closes there, and the proof of a tenth of
them. Processor time where it is not said otherwise; counts and sizes are those of the last run.
"""

import argparse
import collections
import pathlib
import re
import statistics
import subprocess

TIMED = re.compile(r"^(?P<what>.+?)(, \d+ KiB more)?  (?P<ms>[\d.]+) ms$")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--ports", type=int, default=100_000)
    parser.add_argument("--out", type=pathlib.Path, required=True, help="raw values, a line each")
    return parser.parse_args()


def run(args):
    """What was measured: names with milliseconds, in order, and what else was said."""
    command = ["cargo", "bench", "--quiet", "--bench", "reach", "--", *args]
    said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    timed, beside, rule = [], [], ""
    for line in said:
        if found := TIMED.match(line):
            timed.append((rule + found["what"], float(found["ms"])))
        elif line.endswith(" now drops"):
            # Two rules are turned; what follows is about this one.
            rule = line.split("..", 1)[-1].split("/", 1)[0] + ": "
        elif line:
            beside.append(line)
    return timed, beside


def show(ms):
    return f"{ms:.2f} ms" if ms < 10 else f"{ms:.0f} ms" if ms < 1000 else f"{ms / 1000:.2f} s"


def main():
    asked = arguments()
    works = [
        ("reach", asked.ports, ["50", str(asked.ports)]),
        ("change", asked.ports, ["50", str(asked.ports), "change"]),
        ("verify", asked.ports // 10, [str(asked.ports // 10), "verify"]),
    ]
    for kind, ports, args in works:
        values, beside = collections.defaultdict(list), []
        for _ in range(asked.runs):
            timed, beside = run(args)
            for name, ms in timed:
                values[name].append(ms)
        with asked.out.open("a", encoding="utf-8") as out:
            for name, all_ms in values.items():
                out.writelines(f"{kind},{ports},{name},{ms / 1000}\n" for ms in all_ms)
        print(f"| {kind}, {ports} machines | median | least | most |\n|---|--:|--:|--:|")
        for name, all_ms in values.items():
            print(f"| {name} | {show(statistics.median(all_ms))} | {show(min(all_ms))} | {show(max(all_ms))} |")
        print("", *beside, "", sep="\n")


if __name__ == "__main__":
    main()
