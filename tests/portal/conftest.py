from tests.api.fixtures import *  # noqa: F403  # a shop, its clock and its caches, as for the API
