from tests.api.fixtures import *  # noqa: F403  # the fixtures are shared by the folders beside this one
from tests.api.fixtures import _fresh_caches  # noqa: F401  # a star leaves out what begins with an underscore
