from fastapi import APIRouter

teams_router: APIRouter = APIRouter(
    prefix="/teams",
    tags=["teams"],
)


class TeamPaths:
    one = "/{team}"


@teams_router.get(path="")
async def all_teams():
    # h:teams.list
    return []


@teams_router.get(TeamPaths.one)
async def one_team(team: str):
    # h:teams.find
    return team


@teams_router.post(TeamPaths.one + "/members", status_code=201)
async def join(team: str):
    # h:teams.join
    return team
