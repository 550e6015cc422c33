import fastapi

router = fastapi.APIRouter()


@router.get("/{path:path}")
async def read_file(path: str) -> str:
    # h:files.read
    return path


@router.options("/{path:path}")
async def file_options(path: str) -> str:
    # h:files.options
    return path
