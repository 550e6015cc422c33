from fastapi import APIRouter
router = APIRouter()
@router.get("/users/", tags=["users"])
async def read_users():
    return ["h:users"]
@router.get("/users/me", tags=["users"])
async def read_user_me():
    return "h:me"
@router.get("/users/{username}", tags=["users"])
async def read_user(username: str):
    return "h:user"
