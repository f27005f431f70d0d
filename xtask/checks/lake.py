#!/usr/bin/env python3
"""Counts the lake's tables with deltalake (PyArrow) and DuckDB, and compares with `weft tables`.

usage: lake.py LAKE_DIRECTORY TABLES_JSON
"""

import json
import sys
from pathlib import Path

import duckdb
from deltalake import DeltaTable


def main() -> int:
    lake, tables = Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text())
    wrong = 0
    for table in tables:
        name, rows = table["table"], table["rows"]
        path = lake / name
        if not path.is_dir():
            print(f"{name}: {path} is not there", file=sys.stderr)
            wrong += 1
            continue
        delta = DeltaTable(str(path))
        arrow = delta.to_pyarrow_table(columns=["time"])
        duck = duckdb.sql("SELECT count(*) FROM arrow").fetchall()[0][0]
        files = delta.file_uris()
        parquet = duckdb.read_parquet(files).aggregate("count(*)").fetchall()[0][0] if files else 0
        counts = {"deltalake": arrow.num_rows, "duckdb over arrow": duck, "duckdb over parquet": parquet}
        verdict = "same" if all(count == rows for count in counts.values()) else "DIFFERENT"
        wrong += verdict != "same"
        print(f"{name}: weft {rows}, " + ", ".join(f"{who} {count}" for who, count in counts.items()) + f": {verdict}")
    return 1 if wrong or not tables else 0


if __name__ == "__main__":
    sys.exit(main())
