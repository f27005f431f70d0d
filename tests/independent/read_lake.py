"""Counts the rows of every table of a lake with implementations that are not ours.

Usage: read_lake.py ROOT
Prints {"table": {"version": 3, "files": 7, "pyarrow": 10, "duckdb": 10, "days": 2}}.
Needs the packages deltalake, pyarrow and duckdb.
"""

import json
import pathlib
import sys

import duckdb
from deltalake import DeltaTable


def count(path: pathlib.Path) -> dict:
    table = DeltaTable(str(path))
    lake_rows = table.to_pyarrow_table()
    # The rows go to DuckDB through Arrow: its own Delta extension would have to be downloaded.
    by_duckdb, days = duckdb.sql("SELECT count(*), count(DISTINCT day) FROM lake_rows").fetchall()[0]
    return {"version": table.version(), "files": len(table.file_uris()), "pyarrow": lake_rows.num_rows, "duckdb": by_duckdb, "days": days}


def main(root: str) -> None:
    tables = sorted(path.parent for path in pathlib.Path(root).glob("*/_delta_log"))
    print(json.dumps({table.name: count(table) for table in tables}))


if __name__ == "__main__":
    main(sys.argv[1])
