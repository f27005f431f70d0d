"""NDJSON to Parquet (ZSTD) on one core, beside DuckDB in one run.

    python3 bench/parquet.py PROGRAM CLOUDTRAIL.ndjson.gz      (wants PyPI `duckdb`)

The records of the file are repeated with other ids and rising times, so that nothing repeats more
than in an account that is busy. Each side works on one thread, reads the same file, and the best of
its rounds counts:

- Weft has the file in memory as records, maps them to OCSF, keeps the raw record and what was not
  mapped, and makes one Parquet file a class and day in memory: in order of time, ZSTD, with
  statistics and Bloom filters.
- DuckDB reads the file from the page cache, finds its columns, and writes them to one Parquet file,
  ZSTD, in any order; it keeps neither the raw text nor an index.
"""

import datetime
import gzip
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
import uuid

import duckdb

RECORDS = 100_000
ROUNDS = 3


def records(source, target):
    dice = random.Random(1)
    with gzip.open(source, "rt") as lines:
        lines = [line.rstrip("\n") for line in lines]
    start = datetime.datetime(2026, 3, 2)
    with open(target, "w") as out:
        for number in range(RECORDS):
            line = lines[number % len(lines)]
            for key in ("eventID", "requestID"):
                line = re.sub(rf'"{key}": "[^"]*"', f'"{key}": "{uuid.UUID(int=dice.getrandbits(128))}"', line)
            at = (start + datetime.timedelta(seconds=number // 2)).isoformat()
            out.write(re.sub(r'"eventTime": "[^"]*"', f'"eventTime": "{at}Z"', line) + "\n")


def weft(program, source, home):
    said = subprocess.run(
        [program, "bench", "parquet", "aws/cloudtrail", source, "--data", home, "--format", "ndjson"],
        capture_output=True, text=True, check=True,
    )
    return {row["figure"]: row["value"] for row in map(json.loads, said.stdout.splitlines())}


def anchor(source, folder):
    connection = duckdb.connect()
    connection.execute("SET threads = 1; SET preserve_insertion_order = false")
    target = os.path.join(folder, "anchor.parquet")
    best = float("inf")
    for _ in range(ROUNDS):
        begun = time.monotonic()
        connection.execute(
            f"COPY (SELECT * FROM read_json('{source}', format = 'newline_delimited')) TO '{target}' (FORMAT parquet, COMPRESSION zstd)"
        )
        best = min(best, time.monotonic() - begun)
    return RECORDS / best, os.path.getsize(target) / RECORDS


def main():
    program, source = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        made = os.path.join(folder, "cloudtrail.ndjson")
        records(source, made)
        ours = weft(program, made, folder)
        rate, size = anchor(made, folder)
    mine = ours["records per second and core"]
    print(f"Weft    {mine:>9.0f} records/s, {ours['mean record on disk']:.0f} bytes each on disk, {ours['of the time, mapping']:.0f} % of the time mapping")
    print(f"DuckDB  {rate:>9.0f} records/s, {size:.0f} bytes each on disk")
    print(f"ratio   {mine / rate:.2f}")


if __name__ == "__main__":
    main()
