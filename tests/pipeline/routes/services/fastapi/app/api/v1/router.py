from fastapi import APIRouter

from app.api.v1.endpoints import items, users
from app.api.v1.endpoints.files import router as files_router

api_router = APIRouter()
api_router.include_router(users.router)
for prefix, part in (("/items", items.router), ("/files", files_router)):
    api_router.include_router(part, prefix=prefix)
