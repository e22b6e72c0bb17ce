"""What commands share: options, progress, tables, and how a sweep is run from a terminal."""
