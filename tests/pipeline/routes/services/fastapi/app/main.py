from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles
from starlette.routing import Mount, Route

from app.api.v1.router import api_router
from app.core.config import ADMIN, settings

from .web import admin as admin_pages
from .web.raw import Ping, raw_app


def create_app() -> FastAPI:
    app = FastAPI(title=settings.PROJECT, root_path="/edge")
    app.include_router(api_router, prefix=settings.API_V1_STR)
    app.include_router(admin_pages.router, prefix=ADMIN)
    app.mount("/static", StaticFiles(directory="static"), name="static")
    app.mount("/raw", raw_app)

    @app.get("/health", include_in_schema=False)
    async def health() -> dict[str, str]:
        # h:health
        return {"status": "up"}

    @app.websocket("/ws")
    async def socket(ws) -> None:
        await ws.accept()

    register_hooks(app)
    return app


def register_hooks(application: FastAPI) -> None:
    application.add_api_route("/hooks/{source}", receive, methods=["POST"])


async def receive(source: str) -> None:
    # h:hooks
    return None


app = create_app()
