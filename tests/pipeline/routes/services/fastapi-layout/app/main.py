from fastapi import Depends, FastAPI
from .dependencies import get_token
from .internal import admin
from .routers import items, users

app = FastAPI(dependencies=[Depends(get_token)])
app.include_router(users.router)
app.include_router(items.router)
app.include_router(admin.router, prefix="/admin", tags=["admin"], responses={418: {"d": "x"}})

@app.get("/")
async def root():
    return {"m": "h:root"}
