"""`python -m bench.records` writes the JSON Schema of a record anew."""

from bench.records.run import SCHEMA_FILE, run_schema

if __name__ == "__main__":
    SCHEMA_FILE.write_text(run_schema(), encoding="utf-8")
