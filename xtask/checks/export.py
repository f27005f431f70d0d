#!/usr/bin/env python3
"""Reads both exports with DuckDB: as many events as the lake has, in the layout that is documented.

usage: export.py PARQUET_DIRECTORY SECURITY_LAKE_DIRECTORY TABLES_JSON
"""

import json
import re
import sys
from pathlib import Path

import duckdb

PATH = re.compile(r"ext/weft_(?P<c>[a-z0-9_]+)/region=[a-z0-9-]+/accountId=[A-Za-z0-9_-]+/eventDay=\d{8}/[^/]+\.parquet")


def files(folder: Path) -> list[str]:
    return sorted(str(path) for path in folder.rglob("*.parquet"))


def plain(folder: Path, rows: dict[str, int]) -> list[str]:
    wrong = []
    for table, count in rows.items():
        if table == "rejects" or count == 0:
            continue
        read = duckdb.read_parquet(files(folder / table), hive_partitioning=True, union_by_name=True)
        found, days = read.aggregate("count(*), count(DISTINCT day)").fetchall()[0]
        print(f"{table}: weft {count}, duckdb over the export {found} on {days} days")
        wrong += [] if found == count else [f"{table}: {found} instead of {count}"]
    return wrong


def security_lake(folder: Path, rows: dict[str, int]) -> list[str]:
    wrong, found = [], {}
    for path in files(folder):
        within = str(Path(path).relative_to(folder))
        matched = PATH.fullmatch(within)
        if not matched:
            wrong.append(f"{within} is not in the layout")
            continue
        day = re.search(r"eventDay=(\d{8})", within)[1]
        read = duckdb.read_parquet([path], hive_partitioning=False)
        count, version, others, classes, unsorted = duckdb.sql(
            "SELECT count(*), min(metadata.version) || max(metadata.version),"
            f" count(*) FILTER (WHERE strftime(make_timestamp(time * 1000), '%Y%m%d') <> '{day}'), count(DISTINCT class_uid),"
            " count(*) FILTER (WHERE time < before) FROM (SELECT *, lag(time) OVER () AS before FROM read)"
        ).fetchall()[0]
        if (version, others, classes, unsorted) != ("1.1.01.1.0", 0, 1, 0):
            wrong.append(f"{within}: version {version}, {others} events of other days, {classes} classes, {unsorted} out of order")
        wrong += [f"{within}: column `{name}` is not of OCSF" for name in read.columns if name in ("extra", "n", "day")]
        found[matched["c"]] = found.get(matched["c"], 0) + count
    for table, count in found.items():
        print(f"{table}: duckdb over the security lake {count}")
        wrong += [] if rows.get(table) == count else [f"{table}: {count} instead of {rows.get(table)}"]
    return wrong if found else ["nothing was exported"]


def main() -> int:
    rows = {table["table"]: table["rows"] for table in json.loads(Path(sys.argv[3]).read_text())}
    wrong = plain(Path(sys.argv[1]), rows) + security_lake(Path(sys.argv[2]), rows)
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
