from typing import Annotated

from fastapi import APIRouter, Depends

router = APIRouter(prefix="/users", tags=["users"])
me = APIRouter()


@router.get("/")
def list_users(limit: int = 10) -> list[str]:
    # h:users.list
    return []


@router.get("/me")
async def read_me() -> str:
    # h:users.me
    return "me"


@router.get(
    "/{user_id}",
    response_model=None,
)
async def read_user(user_id: int) -> str:
    # h:users.find
    return str(user_id)


@router.put("/{user_id}")
@router.patch("/{user_id}")
async def change_user(user_id: int) -> str:
    # h:users.change
    return str(user_id)


@me.get("/avatar")
async def avatar() -> str:
    # h:users.avatar
    return "png"


router.include_router(me, prefix="/me")
