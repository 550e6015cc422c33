from fastapi import APIRouter
from fastapi.responses import HTMLResponse

router = APIRouter(default_response_class=HTMLResponse)


@router.get("/")
def home() -> str:
    # h:admin.home
    return "<h1>admin</h1>"


@router.post("/login")
def login() -> str:
    # h:admin.login
    return ""
