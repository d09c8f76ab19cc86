"""The same service in one worker of eight threads, as granian would run it by itself: what a container is not."""

from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server import Server

from ecs.runtime.settings import settings
from ecs.runtime.wsgi import application
from tests.integration.ecs import workshop

if __name__ == "__main__":
    workshop.install()
    serve = application("workshop")
    server = Server(
        "",
        address=settings().host,
        port=settings().port,
        interface=Interfaces.WSGI,
        blocking_threads=8,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(keep_alive=False),
        log_enabled=False,
    )
    server.serve(target_loader=lambda _: serve)
