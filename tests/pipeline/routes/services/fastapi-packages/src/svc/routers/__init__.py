from .players import router as players
from .teams import teams_router as teams
