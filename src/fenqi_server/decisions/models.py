"""No models: this app's tables are written and read in SQL (see its migrations).

The module is here so that Django counts the app among those it tells about a finished migration, which is when the
coming year's partitions are made.
"""
