import os

from pydantic_settings import BaseSettings

ADMIN = os.getenv("ADMIN_PREFIX", "/admin")


class Settings(BaseSettings):
    API_V1_STR: str = "/api/v1"
    PROJECT: str = "shop"


settings = Settings()
