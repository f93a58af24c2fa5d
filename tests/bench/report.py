"""Tables of what was measured. results: {case: {server: [{"report": ..., "floor": ...}, ...]}},
one entry a round; every figure is the median over rounds."""

import statistics

DETAILS = [  # heading, key of a report, factor
    ("messages/s", "messages_per_s", 1), ("MB/s", "mb_per_s", 1),
    ("CPU s/GB", "cpu_s_per_gb", 1), ("CPU s/million", "cpu_s_per_million", 1),
    ("p50 µs", "p50_us", 1), ("p99 µs", "p99_us", 1), ("p99.9 µs", "p999_us", 1),
    ("RSS MiB", "rss_kib", 1 / 1024)]


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


def verdict(row, value):
    if row.goal is None or value is None:
        return ""
    return "met" if row.ratio(value, row.goal) <= 1 else "missed"


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
            cells += [show(floor), show(row.ratio(values[0], floor)), show(row.goal),
                      verdict(row, values[0]), of_peers(results, case, row, values[0])]
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


def detail(rounds, key, factor):
    values = [one["report"][key] * factor for one in rounds if key in one["report"]]
    return statistics.median(values) if values else None


def details(results, cases, binary):
    """Everything else that was read in the same runs, of dmsd and of the peers."""
    lines = [["", "server", *[heading for heading, _, _ in DETAILS]]]
    for case in cases:
        for server in [binary, *case.peers]:
            rounds = results.get(case.name, {}).get(server, [])
            values = [detail(rounds, key, factor) for _, key, factor in DETAILS]
            if any(values):
                lines.append([case.name, "dmsd" if server == binary else server,
                              *map(show, values)])
    return markdown(lines) if len(lines) > 1 else []


def floor_line(results):
    floors = [one["floor"] for servers in results.values() for rounds in servers.values()
              for one in rounds]
    return "floor: " + ", ".join(
        f"{key} {show(statistics.median(one[key] for one in floors))}"
        for key in floors[0] if isinstance(floors[0][key], float))


def gross_losses(results, cases, binary):
    for case in cases:
        for row in case.rows:
            value = median(results, case, binary, row)
            if row.gross is None or value is None:
                continue
            ratio = row.ratio(value, floor_of(results, case, row) or row.goal)
            if ratio is not None and ratio > row.gross:
                yield f"{row.name}: {ratio:.1f} times its bound, at most {row.gross} are allowed"
