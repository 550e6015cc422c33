from fastapi import APIRouter
from ..dependencies import get_token
router = APIRouter(
    prefix="/items",
    responses={404: {"description": "Not found"}},
)
@router.get("/")
async def read_items():
    return "h:items"
@router.put("/{item_id}", tags=["custom"])
async def update_item(item_id: str):
    return "h:item.put"
