import fastapi as fa

router = fa.APIRouter(prefix="/players")


@router.get("/{number:int}.json")
def as_json(number: int):
    # h:players.json
    return number


@router.get("/{number}")
def player(number: int):
    # h:players.find
    return number


def history(number: int):
    # h:players.history
    return number


router.add_api_route("/{number}/history", history)
