import svc.routers.reports
from fastapi import APIRouter, FastAPI

from svc import routers
from svc.constants import *

app = FastAPI()
v2 = APIRouter(prefix=V2)
ROUTERS = [routers.teams, routers.players]

for each in ROUTERS:
    v2.include_router(each)
v2.include_router(svc.routers.reports.router, prefix="/reports", dependencies=[])
app.include_router(v2)

sub = FastAPI()
app.mount(path="/internal", app=sub)


@sub.get("/metrics")
def metrics():
    # h:metrics
    return ""


@app.head("/")
@app.get("/")
def root():
    # h:root
    return ""
