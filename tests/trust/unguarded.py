"""`fenqi`, without its refusal of a database that may lose what it acknowledged.

For `tests.trust.crash` alone, which has to see losses where there are some: the product has no such switch.

    python -m tests.trust.unguarded serve --port 8000
"""

import sys

from fenqi_server import cli
from fenqi_server.commands import database

if __name__ == "__main__":
    database.require_safe_settings = lambda cluster: None
    sys.exit(cli.main())
