"""Cold questions over ten million events, beside DuckDB on the same Parquet files.

    cargo build --release -p weft-lake --example query
    python3 bench/query.py PROGRAM [DIR] [ROWS]      (wants PyPI `duckdb`; PROGRAM is the example)

Each question is asked in a fresh process of each engine, after the page cache was dropped where that
is permitted; the best of three counts. Neither engine's time to start is counted, nor the time to open the
table's log; both read the files from their footers on.
"""

import glob
import json
import os
import subprocess
import sys
import tempfile

QUESTIONS = {
    "count": "SELECT count(*) FROM network_activity",
    "filter on a number": "SELECT count(*) FROM network_activity WHERE severity_id >= 4",
    "filter on nested columns": "SELECT count(*) FROM network_activity WHERE dst_endpoint.port = 3389 AND traffic.bytes_out > 900000",
    "filter on a text, any file": "SELECT count(*), sum(traffic.bytes_in) FROM network_activity WHERE message = 'denied by policy' AND src_endpoint.hostname LIKE 'host-42%'",
    "range of time": "SELECT count(*), max(severity_id) FROM network_activity WHERE time >= 1726012800000 AND time < 1726617600000",
    "group by few": "SELECT activity_name, count(*) AS n, sum(traffic.bytes_out) FROM network_activity GROUP BY 1 ORDER BY 1",
    "group by many": "SELECT actor.user.name, count(*) AS n, sum(traffic.bytes_in) AS b FROM network_activity GROUP BY 1 ORDER BY b DESC, 1 LIMIT 10",
    "a year of one entity": "SELECT count(*), sum(traffic.bytes_in) FROM network_activity WHERE actor.user.name = 'user777'",
    "one address": "SELECT count(*) FROM network_activity WHERE src_endpoint.ip = '10.3.44.55'",
}
ROUNDS = 3
WANTED = 1.2

ANCHOR = """
import duckdb, glob, json, sys, time
files = sorted(glob.glob(sys.argv[1] + "/lake/network_activity/day=*/*.parquet"))
connection = duckdb.connect()
begun = time.monotonic()
connection.execute("CREATE VIEW network_activity AS SELECT * FROM read_parquet(%r)" % files)
rows = connection.execute(sys.argv[2]).fetchall()
print(json.dumps({"seconds": time.monotonic() - begun, "first": " ".join(str(cell) for cell in rows[0])}))
"""


def cold():
    subprocess.run(["sync"], check=False)
    try:
        with open("/proc/sys/vm/drop_caches", "w") as caches:
            caches.write("1")
    except OSError:
        pass


def best(command):
    answers = []
    for _ in range(ROUNDS):
        cold()
        answers.append(json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1]))
    return min(answers, key=lambda answer: answer["seconds"])


def main():
    program = sys.argv[1]
    home = sys.argv[2] if len(sys.argv) > 2 else tempfile.mkdtemp()
    rows = sys.argv[3] if len(sys.argv) > 3 else "10000000"
    if not glob.glob(os.path.join(home, "lake/network_activity/day=*")):
        subprocess.run([program, "make", home, rows], check=True)
    only = os.environ.get("QUESTION", "")
    print(f"{'question':28} {'weft':>8} {'duckdb':>8} {'ratio':>6}   files read")
    for name, sql in QUESTIONS.items():
        if only not in name:
            continue
        ours, theirs = best([program, "ask", home, sql]), best([sys.executable, "-c", ANCHOR, home, sql])
        ratio = ours["seconds"] / theirs["seconds"]
        same = "" if ours["first"] == theirs["first"] else f"   DIFFERENT: {ours['first']} / {theirs['first']}"
        short = "" if ratio <= WANTED else "   short of it"
        print(f"{name:28} {ours['seconds']:>7.3f}s {theirs['seconds']:>7.3f}s {ratio:>6.2f}   {ours['files_read']} of {ours['files']}{short}{same}")


if __name__ == "__main__":
    main()
