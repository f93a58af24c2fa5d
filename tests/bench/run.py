#!/usr/bin/env python3
"""Measures dmsd beside what this machine can do at all, and prints tables.

    run.py [--dmsd PATH] [--loadgen PATH] [--against PATH] [--rounds N] [--only REGEX]
    run.py --peers --json FILE     the same beside other servers, kept
    run.py --table FILE ...        prints again what was kept
    run.py --peers --readme        the same, and puts the tables into README.md
    run.py --short                 a minute; fails only where a cost is far from its bound

Each round runs the floor and then every case against a dmsd of its own and, with --peers,
against the other servers, so that whatever else this machine does falls on all alike; the
table shows medians. The server is pinned to one core and the client to another. What counts is
the CPU time of the server: wall time and latency say something only on a machine that does
nothing else. --against runs a second binary in turn with the first.
"""

import argparse
import json
import os
import re
import shlex
import sys
import time

import cases
import cases_idle
import cases_rest
import peers
import report
from bench import ROOT, SERVER_CPU, Bench, PinnedBroker

STARTED = time.monotonic()
SHORT_SCALE = 0.1
SHORT_ATTEMPTS = 3
MARKS = ("<!-- figures: tests/bench/run.py --readme -->", "<!-- end of figures -->")


def all_cases():
    return cases.throughput() + cases.latency() + cases_rest.rest() + cases_idle.idle() + \
        cases.whole()


def chosen_cases(options):
    return [case for case in all_cases() if (case.short or not options.short) and
            re.search(options.only, case.name)]


def run_case(bench, case, server, is_peer):
    """Against a fresh server; returns the report."""
    bench.touch(case.written * bench.scale)
    bench.binary = server
    bench.broker = peers.SERVERS[server](bench) if is_peer else PinnedBroker(server)
    try:
        return (case.peers[server] if is_peer else case.run)(bench)
    finally:
        bench.broker.close(check=False)
        bench.broker = None


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        model = re.search(r"model name\s*: (.*)", file.read())
    return (f"{os.cpu_count()} cores ({model.group(1) if model else 'unknown'}), "
            f"Linux {os.uname().release}, load average {os.getloadavg()[2]:.1f}")


def keep(options, rounds, binaries, results):
    """What --json writes: after each case, so that one who has no time left has something."""
    kept = {"arguments": shlex.join(sys.argv[1:]), "machine": machine(), "rounds": rounds,
            "scale": options.scale, "minutes": (time.monotonic() - STARTED) / 60,
            "binaries": binaries, "results": results}
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(kept, file)
    return kept


def measure(options, chosen, binaries):
    """What keep() gives, and what failed: one case does not end the others."""
    bench = Bench(options.loadgen, options.scale)
    results, failures = {}, []
    kept = keep(options, 0, binaries, results)
    for number in range(options.rounds):
        bench.touch(2e9 * bench.scale)
        floor = bench.reports("floor", server_cpu=SERVER_CPU, directory=options.directory,
                              bytes=bench.count(1_000_000_000))[0]
        for case in chosen:
            if case.once and number > 0:
                continue
            servers = [(binary, False) for binary in binaries]
            if options.peers:
                servers += [(peer, True) for peer in case.peers]
            for server, is_peer in servers:
                name = os.path.basename(server)
                print(f"round {number + 1}: {case.name}: {name}", file=sys.stderr)
                try:
                    one = {"report": run_case(bench, case, server, is_peer), "floor": floor}
                except AssertionError as error:
                    failures.append(f"{case.name}: {name}: {error}")
                    print(failures[-1], file=sys.stderr)
                    continue
                results.setdefault(case.name, {}).setdefault(server, []).append(one)
            kept = keep(options, number + 1, binaries, results)
    return kept, failures


def lost_again(options, kept, chosen, binaries):
    """Gross losses. Another program may have been in the way: only what is lost in each of a
    few attempts is."""
    losses = report.gross_losses(kept["results"], chosen, options.dmsd)
    failures = []
    for _ in range(SHORT_ATTEMPTS - 1):
        if not losses:
            break
        again = [case for case in chosen if any(case is lost for lost, _ in losses)]
        kept, failures = measure(options, again, binaries)
        losses = report.gross_losses(kept["results"], again, options.dmsd)
    return [text for _, text in losses] + failures


def conditions(kept):
    return (f"`run.py {kept['arguments']}`: medians of {kept['rounds']} rounds, scale "
            f"{kept['scale']:g}, {kept['minutes']:.0f} minutes; {kept['machine']}.")


def merge(names):
    """Of several files the later ones win, case by case; paths of binaries do not matter."""
    results, texts = {}, []
    for name in names:
        with open(name, encoding="utf-8") as file:
            kept = json.load(file)
        texts.append(conditions(kept))
        for case, servers in kept["results"].items():
            results[case] = {"dmsd" if server == kept["binaries"][0] else server: rounds
                             for server, rounds in servers.items()}
    return results, texts


def write_readme(paragraphs):
    """Puts them between the marks."""
    path = os.path.join(ROOT, "README.md")
    with open(path, encoding="utf-8") as file:
        before, rest = file.read().split(MARKS[0])
        after = rest.split(MARKS[1])[1]
    with open(path, "w", encoding="utf-8") as file:
        file.write(before + "\n\n".join([MARKS[0], *paragraphs, MARKS[1]]) + after)


def print_tables(options, results, chosen, binaries, texts):
    figures = report.figures(results, chosen, binaries)
    matrix = report.matrix(results, chosen, binaries[0])
    details = report.details(results, chosen, binaries[0])
    said = [*texts, report.floor_line(results), "\n".join(figures), "\n".join(matrix)]
    print("\n\n".join(text for text in (*said, report.DETAILS_TEXT, "\n".join(details)) if text))
    if options.readme:
        said.append("\n".join(report.folded("All that was measured, with ratios", details)))
        write_readme([text for text in said if text])


def parse():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    build = os.path.join(ROOT, "build", "release")
    parser.add_argument("--dmsd", default=os.environ.get("DMSD_BINARY",
                                                         os.path.join(build, "dmsd")))
    parser.add_argument("--loadgen")
    parser.add_argument("--against", help="a second dmsd")
    parser.add_argument("--peers", action="store_true", help="other servers too, see peers.py")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--scale", type=float, help="of the number of messages; 1 is the long form")
    parser.add_argument("--nice", type=int, help="of all that is measured, floor and peers too")
    parser.add_argument("--only", default="", help="cases whose first row matches")
    parser.add_argument("--json", metavar="FILE", help="keep what was measured")
    parser.add_argument("--table", metavar="FILE", nargs="+", help="print what was kept")
    parser.add_argument("--readme", action="store_true", help="put the tables into README.md")
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--directory", default="/tmp", help="of the floor's file")
    options = parser.parse_args()
    options.dmsd = os.path.abspath(options.dmsd)
    options.loadgen = options.loadgen or os.path.join(os.path.dirname(options.dmsd), "loadgen")
    options.rounds = options.rounds or (1 if options.short else 3)
    options.scale = options.scale or (SHORT_SCALE if options.short else 1)
    os.environ["DMSD_BINARY"] = options.dmsd
    return options


def main():
    options = parse()
    if options.table:
        results, texts = merge(options.table)
        print_tables(options, results, all_cases(), ["dmsd"], texts)
        return
    if options.peers and peers.missing():
        sys.exit("not installed; apt-get install --no-install-recommends "
                 f"{' '.join(peers.missing())}; see tests/bench/README.md")
    if options.nice is not None:
        os.setpriority(os.PRIO_PROCESS, 0, options.nice)
    binaries = [options.dmsd] + ([os.path.abspath(options.against)] if options.against else [])
    chosen = chosen_cases(options)
    kept, losses = measure(options, chosen, binaries)
    print_tables(options, kept["results"], chosen, binaries, [conditions(kept)])
    if options.short:
        losses += lost_again(options, kept, chosen, binaries)
    for loss in losses:
        print(loss, file=sys.stderr)
    sys.exit(1 if losses else 0)


if __name__ == "__main__":
    main()
