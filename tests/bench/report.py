"""Tables of what was measured. results: {case: {server: [{"report": ..., "floor": ...}, ...]}},
one entry a round; every figure is the median over rounds."""

import statistics

DETAILS = [  # heading, key of a report, factor, whether more is better
    ("messages/s", "messages_per_s", 1, True), ("MB/s", "mb_per_s", 1, True),
    ("CPU s/GB", "cpu_s_per_gb", 1, False), ("CPU s/million", "cpu_s_per_million", 1, False),
    ("p50 µs", "p50_us", 1, False), ("p99 µs", "p99_us", 1, False),
    ("p99.9 µs", "p999_us", 1, False), ("RSS MiB", "rss_kib", 1 / 1024, False)]
DETAILS_TEXT = ("In brackets: behind a figure of dmsd how many times its floor it is (f), where "
                "the floor measures the thing; behind that of a peer how many times that of dmsd "
                "it is (x). Of messages/s and MB/s it is the other way round, so that less than "
                "f 1 beats the floor, and more than x 1 is a peer that dmsd beats.")


def show(value):
    if value is None:
        return ""
    if value >= 999.5:
        return f"{value:.0f}"
    return f"{value:.3g}" if value >= 1 else f"{value:.3f}"


def markdown(lines):
    lines = [lines[0], ["---"] * len(lines[0]), *lines[1:]]
    return ["| " + " | ".join(line) + " |" for line in lines]


def median(results, case, server, row):
    rounds = results.get(case.name, {}).get(server)
    return statistics.median(row.value(one["report"]) for one in rounds) if rounds else None


def floor_of(results, case, row):
    rounds = [one for server in results.get(case.name, {}).values() for one in server]
    if row.floor is None or not rounds:
        return None
    return statistics.median(row.floor(one["floor"]) for one in rounds)


def goal(row):
    """In brackets how many times the floor of its machine it was."""
    if row.goal is None:
        return ""
    return show(row.goal) + (f" (f {show(row.ratio(row.goal, row.bound))})" if row.bound else "")


def verdict(row, value, floor):
    """Relative: not met as a number, but as a multiple of the floor."""
    if row.goal is None or value is None:
        return ""
    if row.ratio(value, row.goal) <= 1:
        return "met"
    relative = row.bound and floor and \
        row.ratio(value, floor) <= row.ratio(row.goal, row.bound)
    return "met relative to the floor" if relative else "missed"


def of_peers(results, case, row, value):
    """Each peer's figure and how many times as good dmsd is."""
    cells = []
    for peer in case.peers:
        theirs = median(results, case, peer, row)
        if theirs is not None:
            ratio = row.ratio(theirs, value)
            cells.append(f"{peer} {show(theirs)} (x {show(ratio)})")
    return ", ".join(cells)


def figures(results, cases, binaries):
    """One line a figure: dmsd, the machine's floor, the goal, the peers."""
    ours = ["dmsd"] if len(binaries) == 1 else ["A", "B", "B/A"]
    lines = [["", "unit", *ours, "floor", "x floor", "goal", "", "peers (x dmsd)"]]
    for case in cases:
        for row in case.rows:
            values = [median(results, case, binary, row) for binary in binaries]
            if row.line is not None or values[0] is None:
                continue
            cells = [row.name, row.unit, *map(show, values)]
            if len(values) == 2:
                cells.append(show(values[1] / values[0]) if values[0] and values[1] else "")
            floor = floor_of(results, case, row)
            cells += [show(floor), show(row.ratio(values[0], floor)), goal(row),
                      verdict(row, values[0], floor), of_peers(results, case, row, values[0])]
            lines.append(cells)
    return markdown(lines)


def matrix(results, cases, binary):
    """Lines of those alike, a column a number of connections."""
    table = {}
    columns = []
    for case in cases:
        for row in case.rows:
            value = median(results, case, binary, row)
            if row.line is not None and value is not None:
                table.setdefault(row.line, {})[row.column] = value
                columns += [] if row.column in columns else [row.column]
    if not table:
        return []
    head = ["REST, CPU µs a message; connections:", *map(str, columns)]
    return markdown([head, *[[line, *[show(cells.get(column)) for column in columns]]
                             for line, cells in table.items()]])


def detail(rounds, key):
    values = [one["report"][key] for one in rounds if one["report"].get(key)]
    return statistics.median(values) if values else None


def detail_floor(case, rounds, key):
    if key not in case.floors:
        return None
    return statistics.median(case.floors[key](one["floor"], one["report"]) for one in rounds)


def detail_cell(value, factor, mark, other, more_is_better):
    """A figure and how many times another it is."""
    if value is None:
        return ""
    ratio = None if not other else other / value if more_is_better else value / other
    return show(value * factor) + (f" ({mark} {show(ratio)})" if ratio else "")


def detail_line(case, name, rounds, ours):
    """ours: the rounds of dmsd when these are of a peer, else None."""
    cells = []
    for _, key, factor, more_is_better in DETAILS:
        value = detail(rounds, key)
        if value is None:
            cells.append("")
            continue
        other = detail_floor(case, rounds, key) if ours is None else detail(ours, key)
        cells.append(detail_cell(value, factor, "f" if ours is None else "x", other,
                                 more_is_better))
    return [case.name.removesuffix(", p50") if ours is None else "", name, *cells]


def details(results, cases, binary):
    """Everything else that was read in the same runs, of dmsd and of the peers."""
    lines = [["", "server", *[heading for heading, *_ in DETAILS]]]
    for case in cases:
        ours = results.get(case.name, {}).get(binary, [])
        for server in [binary, *case.peers]:
            is_ours = server == binary
            rounds = results.get(case.name, {}).get(server, [])
            line = detail_line(case, "dmsd" if is_ours else server, rounds,
                               None if is_ours else ours)
            if any(line[2:]):
                lines.append(line)
    return markdown(lines) if len(lines) > 1 else []


def folded(summary, lines):
    """A table that GitHub shows when it is asked for."""
    return [f"<details><summary>{summary}</summary>", "", DETAILS_TEXT, "", *lines, "",
            "</details>"]


def floor_line(results):
    floors = [one["floor"] for servers in results.values() for rounds in servers.values()
              for one in rounds]
    return "floor: " + ", ".join(
        f"{key} {show(statistics.median(one[key] for one in floors))}"
        for key in floors[0] if isinstance(floors[0][key], float))


def gross_losses(results, cases, binary):
    """Pairs of a case and what it lost."""
    losses = []
    for case in cases:
        for row in case.rows:
            value = median(results, case, binary, row)
            if row.gross is None or value is None:
                continue
            ratio = row.ratio(value, floor_of(results, case, row) or row.goal)
            if ratio is not None and ratio > row.gross:
                losses.append((case, f"{row.name}: {ratio:.1f} times its bound, at most "
                                     f"{row.gross} are allowed"))
    return losses
