"""KServe's ModelServer as we run it: on the address it is told, ready when it is, and leaving with no request lost."""

from __future__ import annotations

import gc
import logging
import socket
from collections.abc import Callable

import kserve
import uvicorn
from fastapi import Request, Response
from fastapi.responses import JSONResponse
from kserve.errors import ModelNotFound, ModelNotReady, ServerNotReady
from kserve.protocol.dataplane import DataPlane
from kserve.protocol.rest.server import RESTServer

from services.draining import Draining
from services.predictor.door import Door, Life, Limits
from services.predictor.model import Predictor

log = logging.getLogger("serinus.predictor")

APP = "kserve.model_server:app"


class _Plane(DataPlane):  # type: ignore[misc]  # kserve has no types
    """KServe's own says "ready" for ever; ours follows the life of the process. It goes on answering all the same."""

    def __init__(self, registry: kserve.ModelRepository, life: Life) -> None:
        super().__init__(registry)
        self.life = life

    async def ready(self) -> bool:
        """Whether new requests should be sent here."""
        return not self.life.draining

    async def model_ready(self, model_name: str, disable_predictor_health_check: bool = False) -> bool:
        """The same for the model. Raises ModelNotFound."""
        return await super().model_ready(model_name, disable_predictor_health_check) and not self.life.draining


class _Uvicorn(Draining):
    """Says when it listens."""

    def __init__(self, config: uvicorn.Config, life: Life, drain: float, started: Callable[[], None]) -> None:
        super().__init__(config, life, drain)
        self.on_start = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and say so."""
        await super().startup(sockets)
        self.on_start()


class Server(kserve.ModelServer):  # type: ignore[misc]  # kserve has no types
    """A ModelServer for one model, REST only, one worker."""

    def __init__(self, sock: socket.socket, limits: Limits, keep_alive: int, drain: float, grace: float) -> None:
        super().__init__(workers=1, enable_grpc=False, enable_latency_logging=False, timeout_keep_alive=keep_alive)
        self.sock = sock
        self.limits = limits
        self.drain = drain
        self.grace = grace
        self.life = Life()
        self.dataplane = _Plane(self.registered_models, self.life)

    def start(self, models: list[Predictor], started: Callable[[], None] = lambda: None) -> None:
        """Serve until a signal; returns when every answer is out or `grace` seconds have passed."""
        (model,) = models
        self._register_and_check_atleast_one_model_is_ready(models)
        rest = RESTServer(APP, self.dataplane, self.model_repository_extension, http_port=0)
        rest.create_application()
        from kserve.model_server import app

        for kind, status in ((ServerNotReady, 503), (ModelNotReady, 503), (ModelNotFound, 404)):
            app.add_exception_handler(kind, _say(status))
        config = uvicorn.Config(
            Door(app, self.dataplane, model, self.limits, self.life),
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            interface="asgi3",
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=self.timeout_keep_alive,
            timeout_graceful_shutdown=max(1, round(self.grace)),
        )
        gc.collect()
        gc.freeze()  # what is there by now stays: looking through it again takes a tenth of a second, for nothing
        _Uvicorn(config, self.life, self.drain, started).run(sockets=[self.sock])


def _say(status: int) -> Callable[[Request, Exception], Response]:
    """KServe's handlers log a traceback for every probe that finds us draining; these only answer."""

    def handler(request: Request, error: Exception) -> Response:  # noqa: ARG001
        return JSONResponse({"error": str(error)}, status)

    return handler
