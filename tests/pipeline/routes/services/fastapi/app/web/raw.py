from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route


async def version(request):
    # h:raw.version
    return PlainTextResponse("1")


async def job(request):
    # h:raw.job
    return PlainTextResponse("job")


class Ping(HTTPEndpoint):
    async def get(self, request):
        # h:raw.ping
        return PlainTextResponse("pong")


raw_app = Starlette(
    routes=[
        Route("/version", version),
        Mount("/jobs", routes=[Route("/{id:int}", endpoint=job, methods=["POST"])]),
        Route("/ping", Ping),
    ]
)
