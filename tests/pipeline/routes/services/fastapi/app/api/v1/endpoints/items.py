from fastapi import APIRouter

router = APIRouter()
ONE = "/{item_id}"


@router.get("")
async def list_items() -> list[str]:
    # h:items.list
    return []


@router.get(ONE)
async def read_item(item_id: str) -> str:
    # h:items.find
    return item_id


@router.get("/latest")
async def latest() -> str:
    """Never reached: the route before it takes its path."""
    # h:items.latest
    return "latest"


@router.api_route(f"{ONE}/stock", methods=["GET", "HEAD"])
async def stock(item_id: str) -> int:
    # h:items.stock
    return 0


@router.delete(ONE + "/tags/{tag}")
async def untag(item_id: str, tag: str) -> None:
    # h:items.untag
    return None
