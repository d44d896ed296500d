"""`make dev`: what the pages ask for must reach the backend on its other port."""

import pytest
from starlette.routing import Mount, Route

from sigma_app.core.errors import StartError
from sigma_app.frontend.dev_server import BACKEND_PATHS, pass_routes_on
from sigma_app.sigma_app import ROUTES

CONFIG = "export default {\n  server: {\n    port: process.env.PORT,\n    hmr: true,\n  },\n}"


def test_every_route_that_answers_a_get_is_passed_on():
    mounted = {f"{route.path}/{{path:path}}" for route in ROUTES if isinstance(route, Mount)}
    single = {route.path for route in ROUTES if isinstance(route, Route) and "GET" in (route.methods or set())}
    assert mounted | single == set(BACKEND_PATHS)


def test_the_proxy_is_added_once():
    config = pass_routes_on(CONFIG)
    assert config.count("proxy:") == 1
    assert pass_routes_on(config) == config


def test_a_configuration_of_another_shape_is_refused():
    with pytest.raises(StartError, match="dev_server"):
        pass_routes_on(CONFIG.replace("process.env.PORT", "3000"))
