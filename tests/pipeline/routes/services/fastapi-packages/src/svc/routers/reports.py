from fastapi import APIRouter


def make() -> APIRouter:
    made = APIRouter()

    @made.get("/{year}/{month}")
    def month(year: int, month: int):
        # h:reports.month
        return 1

    return made


router = make()
