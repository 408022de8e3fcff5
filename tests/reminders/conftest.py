from tests.api.fixtures import *  # noqa: F403  # the fixtures are shared by the folders beside this one
